"""A local server that answers as the repository of public records does, and breaks off when told."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ftirlib.sources.download import RecordFile


class Repository:
    """A record of files in memory, served on 127.0.0.1."""

    def __init__(self, files):
        self.files = dict(files)
        self.asked = []  # names of files
        self.break_after = []  # bytes after which each next answer ends
        self.refuse = []  # status codes of the next answers
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path.startswith("/api/records/17790337/files/"):
                    return self.send_file(self.path.removeprefix("/api/records/17790337/files/"))
                if self.path == "/api/records/17790337":
                    return self.answer(200, json.dumps(repository.record()).encode())
                return self.answer(404, b"{}")

            def send_file(self, name):
                repository.asked.append(name)
                if repository.refuse:
                    return self.answer(repository.refuse.pop(0), b"")
                body = repository.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: repository.break_after.pop(0) if repository.break_after else len(body)])
                self.close_connection = True

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def file(self, name):
        url = f"{self.base}/api/records/17790337/files/{name}"
        return RecordFile(name, len(self.files[name]), "md5:" + hashlib.md5(self.files[name]).hexdigest(), url)

    def record(self):
        listed = [self.file(name) for name in self.files]
        return {
            "metadata": {"title": "A cohort", "license": {"id": "cc-by-4.0"}},
            "files": [{"key": f.key, "size": f.size, "checksum": f.checksum, "links": {"self": f.url}} for f in listed],
        }
