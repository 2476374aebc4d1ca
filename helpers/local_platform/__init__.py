"""The local platform: the OpenAI REST API on loopback, with real training behind it.

It imports nothing from the teaching modules beside it and they import nothing from it;
they meet over HTTP, through the `openai` SDK.
"""

import os

# What the libraries read once, when they are imported, is settled here, before any of them is.

# A learner who wants a model from the hub says so with LOCAL_ALLOW_DOWNLOAD=1; otherwise nothing
# reaches a network.
if os.environ.get("LOCAL_ALLOW_DOWNLOAD", "0") != "1":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
