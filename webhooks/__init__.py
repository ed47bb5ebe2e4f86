"""Telephony over HTTP: cloud PBXs in; our subscribers out, signed and repeated until it got through."""
