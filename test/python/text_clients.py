"""What clients of vectors do, unchanged, with the server at argv[1] on the texts in argv[2]; prints their vectors as JSON."""
import json
import os
import sys

os.environ["LANGSMITH_TRACING"] = "false"
from huggingface_hub import InferenceClient
from langchain_openai import OpenAIEmbeddings

url, texts = sys.argv[1], json.loads(sys.argv[2])
# Without the flag LangChain sends token ids of OpenAI's own models.
openai = OpenAIEmbeddings(base_url=f"{url}/v1", api_key="none", model="tiny", check_embedding_ctx_length=False)
hub = InferenceClient(model=url)
print(
    json.dumps(
        {
            "openai": openai.embed_documents(texts),
            "openai query": [openai.embed_query(text) for text in texts],
            "hub": [hub.feature_extraction(text)[0].tolist() for text in texts],
        }
    )
)
