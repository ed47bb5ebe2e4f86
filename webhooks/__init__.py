"""Telephony over HTTP: cloud PBXs in, our subscribers out. Empty until its issue comes."""
