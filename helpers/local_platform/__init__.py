"""The local platform: the OpenAI REST API on loopback, with real training behind it.

It imports nothing from the teaching modules beside it and they import nothing from it;
they meet over HTTP, through the `openai` SDK.
"""
