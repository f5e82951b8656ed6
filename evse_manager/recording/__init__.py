"""
Recording and replay of a connector's manager: its inputs and its outputs, as a file.

``journal.py`` notes every call of a manager with what followed, ``window.py`` keeps the last minutes of that
in bounded memory, ``mcap_file.py`` writes and reads them, ``replay.py`` runs the manager again and compares.
"""
