"""Yeti boards, spoken to by COBS frames of protobuf messages."""
