#!/usr/bin/env bash
# Makes the tree of the small real model again (docs/models.md: needs the extra `local`). A model's answers depend on
# the build of llama.cpp, so another machine may grow another tree.
set -euo pipefail
cd "$(dirname "$0")"
python -m engine.models.local_server 8000 &
server=$!
trap 'kill "$server"' EXIT
until curl --silent --fail --output /dev/null http://127.0.0.1:8000/v1/models; do
  kill -0 "$server" && sleep 0.5
done
rm -f textcraft-local-model.trace.jsonl
agentr search --env textcraft --task 5 --actor openai --model smollm2 --base-url http://127.0.0.1:8000/v1 \
  --example --context 4096 --max-tokens 80 --iterations 3 --max-depth 5 --samples 4 --concurrency 2 --timeout 600 \
  --out textcraft-local-model.trace.jsonl
