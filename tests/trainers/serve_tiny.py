"""A model of transformers behind an OpenAI-compatible address: `python -m tests.trainers.serve_tiny MODEL PORT`.

It runs in the environment of a trainer. For tests of a whole round: one call at a time, short answers.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

MOST_NEW = 24  # tokens of an answer


def handler(folder: str) -> type[BaseHTTPRequestHandler]:
    """Answers with the model in a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({"object": "list", "data": [{"id": folder, "object": "model"}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            given = tokenizer.apply_chat_template(
                asked["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            tokens = model.generate(**given, max_new_tokens=MOST_NEW, do_sample=False)
            size = given["input_ids"].shape[1]
            text = tokenizer.decode(tokens[0][size:], skip_special_tokens=True)
            said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": size, "completion_tokens": len(tokens[0]) - size, "total_tokens": len(tokens[0])}
            self.reply(
                {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 0,
                    "model": folder,
                    "choices": [said],
                    "usage": usage,
                }
            )

        def reply(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *said: Any) -> None:
            pass

    return Answers


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[2])), handler(sys.argv[1])).serve_forever()
