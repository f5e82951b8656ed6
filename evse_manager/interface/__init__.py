"""The shared vocabulary: types, enumerations, endpoints, parameters; standard library only."""
