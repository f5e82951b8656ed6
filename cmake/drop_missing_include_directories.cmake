# Some binary distributions of ROS 2 export targets that carry an include directory of the machine that built
# them (the Python headers of a container, for example).  CMake refuses such a target when anything links it.
# Nothing can be found in a directory that does not exist, so it is taken out of every imported target.
get_property(_evse_manager_imported DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(_evse_manager_target IN LISTS _evse_manager_imported)
  get_target_property(_evse_manager_directories ${_evse_manager_target} INTERFACE_INCLUDE_DIRECTORIES)
  if(NOT _evse_manager_directories)
    continue()
  endif()
  set(_evse_manager_existing "")
  foreach(_evse_manager_directory IN LISTS _evse_manager_directories)
    if(NOT IS_ABSOLUTE "${_evse_manager_directory}" OR EXISTS "${_evse_manager_directory}")
      list(APPEND _evse_manager_existing "${_evse_manager_directory}")
    endif()
  endforeach()
  if(NOT _evse_manager_existing STREQUAL _evse_manager_directories)
    set_target_properties(${_evse_manager_target} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${_evse_manager_existing}")
  endif()
endforeach()
