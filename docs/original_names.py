"""
The names of the original interface (EVerest `evse_manager`, September 2023), object by object.

One word per field of the message, in its order; ``-`` is a field that the original does not have.  The
objects are those of its `types/*.yaml`; an object or enumeration that is missing here is ours.
"""

OBJECTS: dict[str, tuple[str, str]] = {
    'Energy': ('units/Energy', 'total L1 L2 L3'),
    'Power': ('units/Power', 'total L1 L2 L3'),
    'ReactivePower': ('units/ReactivePower', 'total L1 L2 L3'),
    'Voltage': ('units/Voltage', 'DC L1 L2 L3'),
    'Current': ('units/Current', 'DC L1 L2 L3 N'),
    'Frequency': ('units/Frequency', 'L1 L2 L3'),
    'Powermeter': (
        'powermeter/Powermeter',
        'timestamp energy_Wh_import meter_id phase_seq_error energy_Wh_export power_W voltage_V '
        'current_A VAR frequency_Hz',
    ),
    'Telemetry': (
        'board_support/Telemetry',
        'temperature fan_rpm supply_voltage_12V supply_voltage_minus_12V rcd_current relais_on -',
    ),
    'HardwareCapabilities': (
        'board_support/HardwareCapabilities',
        'max_current_A_import min_current_A_import max_phase_count_import min_phase_count_import '
        'max_current_A_export min_current_A_export max_phase_count_export min_phase_count_export '
        'supports_changing_phases_during_charging',
    ),
    'Limits': ('evse_manager/Limits', 'max_current nr_of_phases_available uuid -'),
    'PricePerkWh': ('energy/PricePerkWh', 'timestamp value currency'),
    'LimitsReq': (
        'energy/LimitsReq',
        'total_power_W ac_max_current_A ac_min_current_A ac_max_phase_count ac_min_phase_count '
        'ac_supports_changing_phases_during_charging',
    ),
    'LimitsRes': ('energy/LimitsRes', 'total_power_W ac_max_current_A ac_max_phase_count'),
    'ScheduleReqEntry': (
        'energy/ScheduleReqEntry',
        'timestamp limits_to_root limits_to_leaves conversion_efficiency price_per_kwh',
    ),
    'ScheduleResEntry': ('energy/ScheduleResEntry', 'timestamp limits_to_root price_per_kwh'),
    'ExternalLimits': ('energy/ExternalLimits', 'schedule_import schedule_export'),
    'EnforcedLimits': ('energy/EnforcedLimits', 'uuid - valid_until limits_root_side schedule - - -'),
    'OptimizerTarget': (
        'energy/OptimizerTarget',
        'energy_amount_needed charge_to_max_percent car_battery_soc leave_time price_limit full_autonomy',
    ),
    'EnergyFlowRequest': (
        'energy/EnergyFlowRequest',
        'uuid - node_type children - optimizer_target energy_usage_root energy_usage_leaves '
        'schedule_import schedule_export - - - - -',
    ),
    'CertificateHashDataInfo': (
        'iso15118_charger/CertificateHashDataInfo',
        'hashAlgorithm issuerNameHash issuerKeyHash serialNumber responderURL',
    ),
    'ProvidedIdToken': (
        'authorization/ProvidedIdToken',
        'id_token authorization_type request_id id_token_type connectors prevalidated certificate '
        'iso15118CertificateHashData',
    ),
    'ValidationResult': (
        'authorization/ValidationResult',
        'authorization_status certificate_status reason expiry_time parent_id_token evse_ids',
    ),
    'RequestExiStreamSchema': (
        'iso15118_charger/Request_Exi_Stream_Schema',
        'exiRequest iso15118SchemaVersion certificateAction',
    ),
    'ResponseExiStreamStatus': (
        'iso15118_charger/Response_Exi_Stream_Status',
        'status certificateAction exiResponse',
    ),
    'StopTransactionRequest': ('evse_manager/StopTransactionRequest', 'reason id_tag'),
    'SessionStarted': ('evse_manager/SessionStarted', 'timestamp reason logging_path'),
    'TransactionStarted': (
        'evse_manager/TransactionStarted',
        'timestamp id_tag meter_value signed_meter_value reservation_id',
    ),
    'TransactionFinished': (
        'evse_manager/TransactionFinished',
        'timestamp meter_value signed_meter_value reason id_tag - - -',
    ),
    'Error': ('evse_manager/Error', 'error_code vendor_error'),
    'SessionEvent': (
        'evse_manager/SessionEvent',
        '- - uuid connector_id event session_started transaction_started transaction_finished error',
    ),
    'EVInfo': (
        'evse_manager/EVInfo',
        'soc present_voltage present_current target_voltage target_current maximum_current_limit '
        'minimum_current_limit maximum_voltage_limit maximum_power_limit estimated_time_full '
        'departure_time estimated_time_bulk evcc_id remaining_energy_needed battery_capacity '
        'battery_full_soc battery_bulk_soc',
    ),
    'CarManufacturer': ('evse_manager/CarManufacturer', 'car_manufacturer'),
    'EvseId': ('the variable evse_id', 'evse_id'),
}
"""By message: the original object, and its fields."""

ENUMERATIONS: dict[str, tuple[str, str]] = {
    'SessionEventEnum': (
        'evse_manager/SessionEventEnum',
        'Enabled Disabled SessionStarted AuthRequired TransactionStarted PrepareCharging '
        'ChargingStarted ChargingPausedEV ChargingPausedEVSE WaitingForEnergy ChargingResumed '
        'StoppingCharging ChargingFinished TransactionFinished SessionFinished Error AllErrorsCleared '
        'PermanentFault ReservationStart ReservationEnd ReplugStarted ReplugFinished Authorized '
        'Deauthorized PluginTimeout',
    ),
    'ErrorEnum': (
        'evse_manager/ErrorEnum',
        'Car CarDiodeFault Relais RCD VentilationNotAvailable OverCurrent Internal SLAC HLC Other',
    ),
    'StopTransactionReason': (
        'evse_manager/StopTransactionReason',
        'EmergencyStop EVDisconnected HardReset Local Other PowerLoss Reboot Remote SoftReset '
        'UnlockCommand DeAuthorized EnergyLimitReached GroundFault LocalOutOfCredit MasterPass '
        'OvercurrentFault PowerQuality SOCLimitReached StoppedByEV TimeLimitReached Timeout',
    ),
    'StartSessionReason': ('evse_manager/StartSessionReason', 'EVConnected Authorized'),
    'SwitchThreePhasesWhileChargingResult': (
        'evse_manager/SwitchThreePhasesWhileChargingResult',
        'Success Error_NotSupported Error_NotCharging Error_Hardware',
    ),
    'CarManufacturerEnum': ('evse_manager/CarManufacturer', 'VolkswagenGroup Tesla Unknown'),
    'AuthorizationStatus': (
        'authorization/AuthorizationStatus',
        'Accepted Blocked ConcurrentTx Expired Invalid NoCredit NotAllowedTypeEVSE NotAtThisLocation '
        'NotAtThisTime Unknown',
    ),
    'CertificateStatus': (
        'authorization/CertificateStatus',
        'Accepted SignatureError CertificateExpired CertificateRevoked NoCertificateAvailable '
        'CertChainError ContractCancelled',
    ),
    'AuthorizationType': ('authorization/AuthorizationType', 'OCPP RFID Autocharge PlugAndCharge'),
    'IdTokenType': (
        'authorization/IdTokenType',
        'Central eMAID MacAddress ISO14443 ISO15693 KeyCode Local NoAuthorization',
    ),
    'HashAlgorithm': ('iso15118_charger/CertificateHashDataInfo, hashAlgorithm', 'SHA256 SHA384 SHA512'),
    'CertificateAction': ('iso15118_charger/CertificateActionEnum', 'Install Update'),
    'ExiStreamStatus': ('iso15118_charger/Response_Exi_Stream_Status, status', 'Accepted Failed'),
    'NodeType': ('energy/NodeType', 'Undefined Evse Generic'),
}
"""By enumeration: the original one, and its values from 1 on."""

COMMANDS: dict[str, tuple[str, str]] = {
    'GetId': ('', 'result'),
    'Enable': ('connector_id', 'result'),
    'Disable': ('connector_id', 'result'),
    'AuthorizeResponse': ('provided_token validation_result', '-'),
    'WithdrawAuthorization': ('', '-'),
    'Reserve': ('reservation_id', 'result'),
    'CancelReservation': ('', '-'),
    'SetFaulted': ('', '-'),
    'PauseCharging': ('', 'result'),
    'ResumeCharging': ('', 'result'),
    'StopTransaction': ('request', 'result'),
    'ForceUnlock': ('connector_id', 'result'),
    'SetExternalLimits': ('value', '-'),
    'SwitchThreePhasesWhileCharging': ('three_phases', 'result'),
    'SetGetCertificateResponse': ('certificate_reponse', '-'),
}
"""By service: the arguments of the original command, and its result where it has one."""
