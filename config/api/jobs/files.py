"""Files of jobs and pictures: written completely or not at all, read by ranges, deleted.

All errors of a storage become OSError.

The name of a file has its writer's fence in it. Nobody reads the file before a row of the database names it: the UPDATE
of that row publishes the file, so the storage needs no atomic rename.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from config.api.database.leases import LeaseLost
from config.api.jobs.storage import JOBS, open_storage

# The bytes that are read and sent at once. granian copies each chunk and queues four of them.
CHUNK_BYTES = 256 * 1024


class LocalFolder(FileSystemStorage):
    """A folder of files that only the server's own user can read. They are on the disk before a row names them."""

    # The errors that the storage raises, except OSError.
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
        with suppress(OSError):  # the folder has other files
            Path(self.path(name)).parent.rmdir()


def create_file(path: Path) -> int:
    """A descriptor of the new file. Its folder is made again if another process deletes it, empty, at this moment."""
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


@contextmanager
def name_errors(storage: Any) -> Iterator[None]:
    """Turn the storage's own errors into OSError."""
    try:
        yield
    except storage.errors as error:
        raise OSError(str(error)) from error


@contextmanager
def write_file(name: str, where: str = JOBS) -> Iterator[IO[bytes]]:
    """A new file. After the block it is complete and durable; after an exception it is deleted."""
    storage = open_storage(where)
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
    """Delete the file if its writer gets LeaseLost in the block: another process has the work now.

    Only then: if the answer to an UPDATE was lost, the row may name the file.
    """
    try:
        yield
    except LeaseLost:
        remove_file(name)
        raise


@contextmanager
def open_range(name: str, start: int, size: int, where: str = JOBS) -> Iterator[Any]:
    """`size` bytes from `start` on, as a file to read. Errors of the storage in the block become OSError too."""
    storage = open_storage(where)
    with name_errors(storage), closing(storage.open_range(name, start, size)) as file:
        yield file


def read_file(name: str, start: int, size: int, where: str = JOBS) -> Iterator[bytes]:
    """`size` bytes from `start` on, in chunks. Raises OSError if the file ends before."""
    if not size:
        return
    with open_range(name, start, size, where) as file:
        while size:
            if not (chunk := file.read(min(size, CHUNK_BYTES))):
                raise OSError(f"{name} ends {size} bytes early")
            size -= len(chunk)
            yield chunk


def remove_file(name: str, where: str = JOBS) -> None:
    """Delete the file if it exists. An empty name means no file."""
    if name:
        storage = open_storage(where)
        with name_errors(storage):
            storage.delete(name)


def remove_folder(folder: str, keep: str = "") -> None:
    """Delete all files in the folder, except the file `keep`."""
    storage = open_storage()
    with suppress(FileNotFoundError), name_errors(storage):
        for name in storage.listdir(folder)[1]:
            if (path := f"{folder}/{name}") != keep:
                storage.delete(path)
