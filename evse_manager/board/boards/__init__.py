"""One package per board: its protocol, codes, conversation, meter and driver."""
