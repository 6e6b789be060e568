"""The package tokenizers on one thread, as a side of bench/tokenizers.ts: `tokenizers_native.py FILE`.

For each line of stdin, a JSON array of texts, prints the CPU milliseconds of encoding them at once, and the number of ids.
"""

import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, __version__  # noqa: E402

tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
print(__version__, flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    start = time.process_time()
    count = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    print(1000 * (time.process_time() - start), count, flush=True)
