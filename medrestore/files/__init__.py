"""Files and folders that are published complete or not at all, exclusive locks, and digests.

An output is written under a temporary name in the folder that it will lie in, and renamed when it is complete:
a reader sees the old output or the new one. Temporary names are random and created exclusively, so that nothing of
anybody else is followed, reused or removed. A folder of temporary files carries a marker; by it a later run for the
same output recognises what a killed run has left. So does every published folder: one without it, or with files that
it does not list, is never replaced or removed.
"""

from .beside import preview_place, read_mapping
from .digests import altered, digest, digest_of
from .listing import files_in, globbed, has_suffix, is_glob, is_hidden, natural_key, text_of
from .locks import Busy, exclusive
from .owned import MARKER, check_claimed, check_own, claim, is_claimed, is_empty_folder, is_own, remove_own
from .paths import expanded
from .publish import FileWriter, NewFile, link_or_copy, new_file, publish_all, publish_first, remove_folder, write_file
from .stages import Stage, new_folder, new_output, recover, recover_all, unfinished
from .system import ADVICE, explained, final_names, is_running, no_room

__all__ = [
    "ADVICE",
    "MARKER",
    "Busy",
    "FileWriter",
    "NewFile",
    "Stage",
    "altered",
    "check_claimed",
    "check_own",
    "claim",
    "digest",
    "digest_of",
    "exclusive",
    "expanded",
    "explained",
    "files_in",
    "final_names",
    "globbed",
    "has_suffix",
    "is_claimed",
    "is_empty_folder",
    "is_glob",
    "is_hidden",
    "is_own",
    "is_running",
    "link_or_copy",
    "natural_key",
    "new_file",
    "new_folder",
    "new_output",
    "no_room",
    "preview_place",
    "publish_all",
    "publish_first",
    "read_mapping",
    "recover",
    "recover_all",
    "remove_folder",
    "remove_own",
    "text_of",
    "unfinished",
    "write_file",
]
