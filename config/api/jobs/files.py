"""Files of jobs: written whole or not at all, read by ranges, deleted. OSError stands for whatever a storage fails by.

A worker writes a file under a name with its fence in it, which nobody reads before a row of the database names it:
that row's UPDATE is what publishes, whatever the storage can or can't rename.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from config.api.database.leases import LeaseLost
from config.api.jobs.storage import open_storage

# Read and sent at once; granian copies each chunk and queues four of them.
CHUNK_BYTES = 256 * 1024


class LocalFolder(FileSystemStorage):
    """Files that only the server's own user reads, on the disk before a row names them."""

    # What it raises beside OSError.
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if "w" not in mode:
            return super()._open(name, mode)  # type: ignore[misc]  # the stubs don't know it
        path = Path(self.path(name))
        return File(os.fdopen(create_file(path), mode))

    def open_range(self, name: str, start: int, size: int) -> Any:
        file = self.open(name)
        file.seek(start)
        return file

    def finish(self, file: File[Any]) -> None:
        file.flush()
        os.fsync(file.fileno())

    def delete(self, name: str) -> None:
        super().delete(name)
        with suppress(OSError):  # others lie in it
            Path(self.path(name)).parent.rmdir()


def create_file(path: Path) -> int:
    """A descriptor of the new file, in a folder that goes with its last file, maybe at this moment."""
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


@contextmanager
def name_errors(storage: Any) -> Iterator[None]:
    """OSError for whatever a storage fails by."""
    try:
        yield
    except storage.errors as error:
        raise OSError(str(error)) from error


@contextmanager
def write_file(name: str) -> Iterator[IO[bytes]]:
    """A new file, whole and durable after the block; after an exception it is gone."""
    storage = open_storage()
    with name_errors(storage):
        try:
            with storage.open(name, "wb") as file:
                yield file
                storage.finish(file)
        except BaseException:
            storage.delete(name)
            raise


@contextmanager
def discard_if_lost(name: str) -> Iterator[None]:
    """Deletes the file where its writer finds out at the last moment that the work was another's by then.

    At nothing else: of an UPDATE whose answer was lost nobody knows whether it named the file.
    """
    try:
        yield
    except LeaseLost:
        remove_file(name)
        raise


@contextmanager
def open_range(name: str, start: int, size: int) -> Iterator[Any]:
    """`size` bytes from `start` on, as a file to read; also what the block itself fails by is an OSError."""
    storage = open_storage()
    with name_errors(storage), closing(storage.open_range(name, start, size)) as file:
        yield file


def read_file(name: str, start: int, size: int) -> Iterator[bytes]:
    """`size` bytes from `start` on, in chunks; OSError where the file ends before."""
    if not size:
        return
    with open_range(name, start, size) as file:
        while size:
            if not (chunk := file.read(min(size, CHUNK_BYTES))):
                raise OSError(f"{name} ends {size} bytes early")
            size -= len(chunk)
            yield chunk


def remove_file(name: str) -> None:
    """Delete the file, if it is there; an empty name is none."""
    if name:
        storage = open_storage()
        with name_errors(storage):
            storage.delete(name)


def remove_folder(folder: str, keep: str = "") -> None:
    """Delete whatever lies in the folder, but for the file named `keep`."""
    storage = open_storage()
    with suppress(FileNotFoundError), name_errors(storage):
        for name in storage.listdir(folder)[1]:
            if (path := f"{folder}/{name}") != keep:
                storage.delete(path)
