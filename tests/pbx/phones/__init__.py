"""Scripted telephones: SIP over UDP and A-law sound on loopback, noting what each of them saw and heard."""
