"""A model hub over a folder: models and datasets with commits and branches, gates, and large files on a host of their own.

It speaks what huggingface_hub 2.4 asks for: the list of a revision, `resolve`, and for publishing the creation of
repositories and branches, `preupload`, the LFS batch, and `commit`. As on the real one, large files are answered with a
redirect to a storage host, which refuses requests that bring the hub's token.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from servers.local import Handler, LocalServer

_LARGE = (".safetensors", ".gguf", ".bin", ".parquet")


class HubServer(LocalServer):
    """A hub whose repositories lie in `folder` as {models,datasets}/org/name/COMMIT/files and .../refs.json.

    `token` is what a bearer has to show, and may not write where the hub is `readonly`. `gated` and `private` are sets of
    repositories; a `plain` hub lists names without sizes and digests; `told` may change what it tells of a revision.
    `commits` holds what each commit did. `manners` are the hub's, `storage.manners` those of the host of large files.
    """

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", ports: tuple[int, int] = (0, 0), name: str = "127.0.0.1"
    ) -> None:
        self.folder = folder
        self.token: str | None = None
        self.readonly = False
        self.gated: set[str] = set()
        self.private: set[str] = set()
        self.plain = False
        self.commits: list[list[str]] = []
        self.told: Callable[[dict[str, Any]], dict[str, Any]] = lambda listing: listing
        self.storage = LocalServer(self._stored, address=(host, ports[1]), name=name)
        super().__init__(self._answer, address=(host, ports[0]), name=name)

    def __enter__(self) -> Self:
        self.storage.__enter__()
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self.storage.__exit__(kind, error, trace)

    # what a test does

    def add(self, repo: str, files: Mapping[str, bytes], *, kind: str = "models", branch: str = "main") -> str:
        """Commit files, and nothing else, to a branch; the commit."""
        home = self._home(kind, repo)
        told = "".join(f"{name} {hashlib.sha1(data).hexdigest()}\n" for name, data in sorted(files.items()))
        refs = self._refs(kind, repo)
        commit = hashlib.sha1((told + refs.get(branch, "")).encode()).hexdigest()
        for name, data in files.items():
            path = home / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (home / commit).mkdir(parents=True, exist_ok=True)
        (home / "refs.json").write_text(json.dumps({**refs, branch: commit}))
        return commit

    def files(self, repo: str, *, kind: str = "models", branch: str = "main") -> dict[str, bytes]:
        """What a branch holds."""
        root = self._home(kind, repo) / self._refs(kind, repo)[branch]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    # what the library asks

    def _home(self, kind: str, repo: str) -> Path:
        return self.folder / kind / repo

    def _refs(self, kind: str, repo: str) -> dict[str, str]:
        refs = self._home(kind, repo) / "refs.json"
        return dict(json.loads(refs.read_text())) if refs.exists() else {}

    def _answer(self, request: Handler) -> None:
        body = request.read()
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if shown and shown != self.token:
            return request.send(401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
        parts = [unquote(part) for part in urlsplit(request.path).path.split("/") if part]
        match parts, request.command:
            case ["api", "repos", "create"], "POST":
                self._create(request, json.loads(body), bool(shown))
            case ["api", "validate-yaml"], "POST":
                _json(request, {"warnings": [], "errors": []})
            case ["api", kind, org, name, *rest], _:
                self._api(request, kind, f"{org}/{name}", rest, body, bool(shown))
            case ["datasets", org, name, "resolve", revision, *file], "GET":
                self._resolve(request, "datasets", f"{org}/{name}", revision, "/".join(file), bool(shown))
            case [org, name, "resolve", revision, *file], "GET":
                self._resolve(request, "models", f"{org}/{name}", revision, "/".join(file), bool(shown))
            case [_, _, "info", "lfs", "objects", "batch"], "POST":
                self._batch(request, json.loads(body))
            case _:
                request.send(404)
        return None

    def _create(self, request: Handler, wish: dict[str, Any], known: bool) -> None:
        repo = f"{wish['organization']}/{wish['name']}"
        if not known or self.readonly:
            request.send(403 if known else 401)
        elif self._refs("models", repo):
            _json(request, {"url": f"{self.url}/{repo}"}, status=409)
        else:
            self.add(repo, {".gitattributes": b"*.safetensors filter=lfs\n"})
            if wish.get("private") or wish.get("visibility") == "private":
                self.private.add(repo)
            _json(request, {"url": f"{self.url}/{repo}"})

    def _api(self, request: Handler, kind: str, repo: str, rest: list[str], body: bytes, known: bool) -> None:
        refs = self._refs(kind, repo)
        if not refs or (repo in self.private and not known):
            return request.send(404 if known else 401, headers={"X-Error-Code": "RepoNotFound"})
        match rest:
            case ["branch", branch]:
                if branch in refs:
                    return request.send(409)
                self.add(repo, self.files(repo, kind=kind), kind=kind, branch=branch)
                return _json(request, {})
            case [what, revision] if (commit := self._commit(refs, revision)) is not None:
                match what:
                    case "revision":
                        return _json(request, self._listing(kind, repo, commit, blobs="blobs" in request.asked.query))
                    case "preupload":
                        return self._preupload(request, json.loads(body))
                    case "commit" if not self.readonly:
                        return self._apply(request, kind, repo, revision, body)
                    case "commit":
                        return request.send(403)
                    case _:
                        pass
        return request.send(404, headers={"X-Error-Code": "RevisionNotFound"})

    @staticmethod
    def _commit(refs: dict[str, str], revision: str) -> str | None:
        return refs.get(revision) or (revision if revision in refs.values() or len(revision) == 40 else None)

    def _listing(self, kind: str, repo: str, commit: str, *, blobs: bool) -> dict[str, Any]:
        root = self._home(kind, repo) / commit
        siblings = [
            {"rfilename": path.relative_to(root).as_posix(), **(_metadata(path) if blobs and not self.plain else {})}
            for path in sorted(root.rglob("*"))
            if path.is_file()
        ]
        return self.told({"id": repo, "sha": commit, "private": repo in self.private, "tags": [], "siblings": siblings})

    def _resolve(self, request: Handler, kind: str, repo: str, revision: str, name: str, known: bool) -> None:
        refs = self._refs(kind, repo)
        commit = self._commit(refs, revision)
        path = self._home(kind, repo) / (commit or "none") / name
        if repo in self.gated:
            return request.send(403 if known else 401, headers={"X-Error-Code": "GatedRepo"})
        if not refs or (repo in self.private and not known):
            return request.send(404 if known else 401, headers={"X-Error-Code": "RepoNotFound"})
        if not path.is_file():
            return request.send(404, headers={"X-Error-Code": "EntryNotFound"})
        if name.endswith(_LARGE):
            place = path.relative_to(self.folder).as_posix()
            return request.send(302, headers={"Location": f"{self.storage.url}/{place}?signature=secret"})
        return request.send_file(path.read_bytes(), f'"{_git(path.read_bytes())}"')

    def _stored(self, request: Handler) -> None:
        """The host of large files: takes signatures, not tokens; takes uploads."""
        path = self.folder / request.asked.path.lstrip("/")
        if "Authorization" in request.headers or request.asked.query.get("signature") != ["secret"]:
            request.send(400)
        elif request.command == "PUT":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(request.read())
            request.send(200)
        else:
            request.send_file(path.read_bytes(), f'"{hashlib.md5(path.read_bytes()).hexdigest()}"')

    def _preupload(self, request: Handler, wish: dict[str, Any]) -> None:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(_LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in wish["files"]
        ]
        _json(request, {"files": modes})

    def _batch(self, request: Handler, wish: dict[str, Any]) -> None:
        objects = []
        for one in wish["objects"]:
            actions = {"upload": {"href": f"{self.storage.url}/lfs/{one['oid']}?signature=secret"}}
            here = (self.folder / "lfs" / one["oid"]).exists()
            objects.append({**one, **({} if here else {"actions": actions})})
        _json(request, {"transfer": "basic", "objects": objects})

    def _apply(self, request: Handler, kind: str, repo: str, branch: str, body: bytes) -> None:
        files = self.files(repo, kind=kind, branch=branch)
        done = []
        for line in map(json.loads, body.splitlines()):
            key, value = line["key"], line["value"]
            match key:
                case "header":
                    if value.get("parentCommit") not in (None, self._refs(kind, repo)[branch]):
                        return request.send(412)
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = (self.folder / "lfs" / value["oid"]).read_bytes()
                case "deletedFile":
                    if value["path"] not in files:
                        return request.send(404, headers={"X-Error-Code": "EntryNotFound"})
                    del files[value["path"]]
                case _:
                    return request.send(400)
            done.append(f"{key} {value.get('path', '')}".strip())
        self.commits.append(done)
        commit = self.add(repo, files, kind=kind, branch=branch)
        return _json(request, {"commitUrl": f"{self.url}/{repo}/commit/{commit}", "commitOid": commit, "pullRequestUrl": None})


def _metadata(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    if not path.name.endswith(_LARGE):
        return {"size": len(data), "blobId": _git(data)}
    lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return {"size": len(data), "blobId": _git(b"pointer"), "lfs": lfs}


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _json(request: Handler, value: object, *, status: int = 200) -> None:
    request.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
