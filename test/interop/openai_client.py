"""What users of OpenAI's Python client do, against the server at argv[1]; prints what it got as JSON."""

import json
import sys

import openai

URL, TEXTS = sys.argv[1], json.loads(sys.argv[2])
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)


def create(**given):
    return client.embeddings.create(**{"model": "tiny-embedder", "input": TEXTS, **given})


def failure(kind, **given):
    try:
        create(**given)
    except kind as error:
        return [error.status_code, error.code, error.param]
    raise AssertionError(f"{given} was answered")


def vectors(answer):
    return [row.embedding for row in answer.data]


whole = create()
print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "base64": vectors(whole),
            "float": vectors(create(encoding_format="float")),
            "cut": vectors(create(input=TEXTS[0], dimensions=3)),
            "tokens": whole.usage.total_tokens,
            "missing": failure(openai.NotFoundError, model="nope"),
            "wrong": failure(openai.BadRequestError, dimensions=0),
        }
    )
)
