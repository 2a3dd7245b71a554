"""How much one network, account or mailbox may ask for: token buckets, shared by all instances.

What is promised, whatever becomes of Redis:

- Through one instance nobody gets more than a rule says. An instance keeps every bucket that it
  has seen lately itself, too: without Redis it goes on where Redis stood, and what it has let
  through alone counts once Redis is back.
- Through all instances together nobody gets more than the rule while Redis answers, and not more
  than the rule on each instance while it doesn't.
- A question to Redis takes `SHARED_WAIT_S` at most. While it doesn't answer, one is asked every
  `SHARED_RETRY_S`.

An instance remembers `SUBJECTS_MAX` buckets; beyond, those that were used longest ago are full.
"""
