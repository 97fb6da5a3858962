"""How the files of an exported log are called. Beside those of tlog-tiles (C2SP) stand some that an audit needs:

checkpoint, tile/<L>/<N>[.p/<W>], tile/entries/<N>[.p/<W>]    the static log (C2SP tlog-tiles)
vkey              the key that verifies the checkpoint
events.ndjson     the events that the checkpoint covers, each as `/v1/events` answers it
digests.json      {"position", "digests", "fold", "erasures"}: of the stored views as of that position
texts/<sha256>    the texts of documents, where they were asked for
"""

CHECKPOINT = "checkpoint"
VKEY = "vkey"
EVENTS = "events.ndjson"
DIGESTS = "digests.json"
TEXTS = "texts"
