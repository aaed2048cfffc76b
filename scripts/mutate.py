"""Switch off each protection of a vault, one at a time, and see that some test turns red: `make mutate`.

    python scripts/mutate.py [PART OF A NAME]

Works on a copy, with the Python that runs this. Ends with status 1 if a protection can be taken away without any test noticing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent
FORMAT, MUTABLE, PACKS = "src/tallac/vault/format", "src/tallac/vault/mutable", "src/tallac/vault/packs"


class Mutation(NamedTuple):
    """One protection, and how it is switched off.

    Attributes:
        name: What it protects.
        path: The file.
        before, after: A text that is in it once, and what takes its place.
        tests: The tests of which one has to fail.
    """

    name: str
    path: str
    before: str
    after: str
    tests: str


MUTATIONS = [
    Mutation(
        "readers compare the stored hash",
        f"{FORMAT}/objects.py",
        "if stored_hash_of(kind, sealed, sealed_links) != cap_hash[:HASH_SIZE]:",
        "if False:",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "readers compare the content",
        f"{FORMAT}/objects.py",
        "if commitment_of(kind, key, hash_file_bytes(plain)) != cap_hash[HASH_SIZE:]:",
        "if False:",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "a stored hash covers where the links begin",
        f"{FORMAT}/objects.py",
        'head = _KIND_BYTES[kind] + len(sealed).to_bytes(4, "big")',
        "head = _KIND_BYTES[kind]",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "two compressors share no nonce",
        f"{FORMAT}/objects.py",
        "keyed(secret[32:], compressed + _COMPRESSED, NONCE_SIZE)",
        "keyed(secret[32:], content_hash + _COMPRESSED, NONCE_SIZE)",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "sizes are rounded",
        f"{FORMAT}/objects.py",
        'padded = b"".join((body, method, bytes(rounded(size) - size)))',
        'padded = b"".join((body, method))',
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "padding is read strictly",
        f"{FORMAT}/objects.py",
        "if end < 0 or rounded(size) != len(sealed):",
        "if end < 0:",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "what was compressed is decompressed and compared",
        f"{FORMAT}/objects.py",
        "if compressed is not None and codec.decompress(compressed, len(plain)) != plain:",
        "if False:",
        "tests/unit/vault/format/test_objects.py",
    ),
    Mutation(
        "nothing grows beyond its cap",
        f"{FORMAT}/compression.py",
        "if not 0 <= declared <= size_max:",
        "if False:",
        "tests/unit/vault/format/test_objects.py tests/unit/vault/format/test_compression.py",
    ),
    Mutation(
        "a chunk has 4 MiB at most",
        f"{FORMAT}/nodes.py",
        "if kind is Kind.LIST and level == 1 and any(child.size > CHUNK_SIZE_MAX and not child.is_hole for child in children):",
        "if False:",
        "tests/unit/vault/format/test_nodes.py",
    ),
    Mutation(
        "sizes are bounded",
        f"{FORMAT}/nodes.py",
        "if sum(child.size for child in children) > SIZE_MAX:",
        "if False:",
        "tests/unit/vault/format/test_nodes.py",
    ),
    Mutation(
        "names ascend in a node",
        f"{FORMAT}/nodes.py",
        "if kind is Kind.DIRECTORY and any(before.first >= after.first for before, after in pairwise(children)):",
        "if False:",
        "tests/unit/vault/format/test_nodes.py",
    ),
    Mutation(
        "names ascend over a whole directory",
        "src/tallac/vault/reading/object_reader.py",
        "if (child.level is not None and first != child.first) or (child.bound is not None and last >= child.bound):",
        "if False:",
        "tests/hostile/test_names_twice.py",
    ),
    Mutation(
        "levels bound the depth of a tree",
        "src/tallac/vault/reading/object_reader.py",
        "if child.level is not None and child.level != level:",
        "if False:",
        "tests/unit/vault/format/test_levels.py",
    ),
    Mutation(
        "a stamp is checked",
        f"{FORMAT}/structure.py",
        "if not self.signers.have_stamped(context, message, stamp):",
        "if False:",
        "tests/unit/vault/packs/test_pack.py tests/unit/vault/index/test_index.py",
    ),
    Mutation(
        "a stamp is for one vault",
        f"{FORMAT}/structure.py",
        "return context + bytes((FORMAT_VERSION,)) + self.vault + message",
        "return context + bytes((FORMAT_VERSION,)) + message",
        "tests/unit/vault/packs/test_pack.py tests/vectors tests/formats",
    ),
    Mutation(
        "a stamp is for one purpose",
        f"{FORMAT}/structure.py",
        "return context + bytes((FORMAT_VERSION,)) + self.vault + message",
        "return bytes((FORMAT_VERSION,)) + self.vault + message",
        "tests/unit/vault/packs/test_pack.py tests/vectors tests/formats",
    ),
    Mutation(
        "footers have stamps",
        f"{PACKS}/pack.py",
        "    structure.check(_FOOTER, region + body, stamp)\n",
        "",
        "tests/unit/vault/packs/test_pack.py",
    ),
    Mutation(
        "a footer fits its pack",
        f"{PACKS}/pack.py",
        "    if objects_end(body) != start:\n",
        "    if False:\n",
        "tests/unit/vault/packs/test_pack.py",
    ),
    Mutation(
        "a footer proves its pack only together with the bytes before it",
        f"{PACKS}/pack.py",
        "if self._region(name, footer.region_size) == footer.region:",
        "if True:",
        "tests/unit/vault/packs/test_pack.py",
    ),
    Mutation(
        "objects are shuffled",
        f"{PACKS}/pack_writer.py",
        "        self._order.shuffle(waiting)\n",
        "",
        "tests/unit/vault/packs/test_pack_writer.py tests/hostile/test_known_files.py",
    ),
    Mutation(
        "index objects have stamps",
        f"{FORMAT}/footers.py",
        "    structure.check(_PURPOSE, stamped[STAMP_SIZE:], stamped[:STAMP_SIZE])\n",
        "",
        "tests/unit/vault/index/test_index.py tests/unit/vault/format/test_index_objects.py",
    ),
    Mutation(
        "what an index lists fits into its packs",
        f"{FORMAT}/footers.py",
        "    if objects_end(pack.body) >= pack.size:\n",
        "    if False:\n",
        "tests/unit/vault/index/test_index.py",
    ),
    Mutation(
        "others' packs are opened before they are used again",
        "src/tallac/vault/writing/object_writer.py",
        "if location.pack not in self._foreign_packs or self._opens_to(",
        "if True or self._opens_to(",
        "tests/hostile/test_poison.py",
    ),
    Mutation(
        "directories are sealed anew and compared",
        "src/tallac/vault/writing/object_writer.py",
        "if links != sealed_links or stored_hash_of(kind, sealed, links) != location.hash:",
        "if stored_hash_of(kind, sealed, links) != location.hash:",
        "tests/hostile/test_poison.py",
    ),
    Mutation(
        "unindexed packs of others are proved before they enter the index",
        "src/tallac/vault/components.py",
        "(self.index.prove(others) if reads_others else [])",
        "others",
        "tests/hostile/test_poison.py",
    ),
    Mutation(
        "what a lost index has named is proved before it enters the index again",
        "src/tallac/vault/writing/session.py",
        "found = components.vouched(looked, reads_others=is_near)",
        "found = looked",
        "tests/hostile/test_lost_index.py",
    ),
    Mutation(
        "a prune proves what it enters in a lost index",
        "src/tallac/vault/prune/prune.py",
        "proved = self._components.vouched(self._index.look_at_packs(), reads_others=True) if",
        "proved = self._index.look_at_packs() if",
        "tests/hostile/test_lost_index.py",
    ),
    Mutation(
        "a repair proves what it enters in the index",
        "src/tallac/vault/repair/repair.py",
        "found = index.prove(index.look_at_packs())",
        "found = index.look_at_packs()",
        "tests/hostile/test_lost_index.py",
    ),
    Mutation(
        "footers alone do not stand for a lost index",
        "src/tallac/vault/index/index.py",
        "self.unindexed_packs = frozenset(pack.name for pack in self._loaded.rescued)",
        "self.unindexed_packs = frozenset()",
        "tests/hostile/test_lost_index.py",
    ),
    Mutation(
        "what a prune moves of others stays others'",
        "src/tallac/vault/prune/sweep.py",
        "if all(entry.pack in self._components.own_packs.names() for entry in batch):",
        "if True:",
        "tests/hostile/test_poison.py",
    ),
    Mutation(
        "passphrases with a stamp are tried first",
        "src/tallac/vault/access/passphrases.py",
        "return self._affordable(self.stamped) + self._affordable(others)",
        "return self._affordable(self.stored)",
        "tests/unit/vault/access/test_passphrases.py",
    ),
    Mutation(
        "a passphrase's stamp is for one place",
        "src/tallac/vault/access/passphrases.py",
        "return msgspec.msgpack.encode([path, *",
        'return msgspec.msgpack.encode(["", *',
        "tests/unit/vault/access/test_passphrases.py",
    ),
    Mutation(
        "what an adder makes costs no more than a bound to try",
        "src/tallac/vault/access/passphrases.py",
        "if work_kib > PASSPHRASES_MAX * COST.memory_kib * COST.passes:",
        "if False:",
        "tests/unit/vault/access/test_passphrases.py",
    ),
    Mutation(
        "registers have stamps",
        f"{MUTABLE}/registers.py",
        "            self._structure.check(_PURPOSE, self._stamped(number, predecessor, text), stamp)\n",
        "",
        "tests/unit/vault/mutable/test_register_stamps.py",
    ),
    Mutation(
        "sessions have stamps",
        f"{MUTABLE}/sessions.py",
        "        structure.check(_PURPOSE, _stamped(path, record), found.stamp)\n",
        "",
        "tests/unit/vault/mutable/test_sessions.py tests/hostile/test_keys.py",
    ),
    Mutation(
        "numbers are bounded",
        f"{MUTABLE}/registers.py",
        "if not 1 <= number <= NUMBER_MAX:",
        "if False:",
        "tests/hostile/test_keys.py tests/unit/vault/mutable",
    ),
    Mutation(
        "a number does not leap",
        f"{MUTABLE}/rollback.py",
        "if seen is not None and number > seen.number + JUMP_MAX:",
        "if False:",
        "tests/hostile/test_keys.py tests/unit/vault/mutable",
    ),
    Mutation(
        "a rollback is noticed",
        f"{MUTABLE}/rollback.py",
        "if seen is not None and (number < seen.number or (number == seen.number and state_hash != seen.hash)):",
        "if False:",
        "tests/unit/vault/mutable tests/hostile/test_keys.py",
    ),
    Mutation(
        "a slot is signed by its holder",
        f"{MUTABLE}/slots.py",
        "if not is_own or not is_signed_by(record.public, record.signature, _signed(record, cap.storage_index)):",
        "if False:",
        "tests/unit/vault/mutable/test_slots.py",
    ),
    Mutation(
        "a slot's links are its content's",
        f"{MUTABLE}/slots.py",
        "if links_of_entries(entries) != self.links(cap.verify_cap, state):",
        "if False:",
        "tests/unit/vault/mutable/test_slots.py tests/formats",
    ),
    Mutation(
        "a header proves its id",
        f"{FORMAT}/header.py",
        "if header.is_genuine:",
        "if True:",
        "tests/unit/vault/format/test_header.py tests/hostile/test_keys.py",
    ),
    Mutation(
        "a key names its vault",
        f"{FORMAT}/header.py",
        "if key.vault != signers.vault:",
        "if False:",
        "tests/unit/vault/format/test_header.py tests/hostile/test_keys.py",
    ),
    Mutation(
        "a key proves itself",
        f"{FORMAT}/header.py",
        "if not is_right:",
        "if False:",
        "tests/unit/vault/format/test_header.py tests/hostile/test_keys.py",
    ),
    Mutation(
        "a copy is spare only beside one whose bytes were read",
        "src/tallac/vault/prune/plan.py",
        "kept = next((location for _, location in there if self._verifier.is_right(location)), None)",
        "kept = next((location for _, location in there), None)",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "a pack is asked before it goes",
        "src/tallac/vault/prune/plan.py",
        "return {pack for pack, entries in going.items() if not all(entry.hash not in used or stays(entry) for entry in entries)}",
        "return set()",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "others' decisions are looked at again",
        "src/tallac/vault/prune/sweep.py",
        "refused = survey.needed(pending)",
        "refused: set[bytes] = set()",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "proposals are looked at again",
        "src/tallac/vault/prune/prune.py",
        "elif entry.pack not in needed:",
        "else:",
        "tests/unit/vault/prune tests/stateful/test_prune_schedules.py",
    ),
    Mutation(
        "a copy is compared with its hash",
        "src/tallac/vault/marking/copies.py",
        "return (content, links) if is_right(location.hash, content, links) else None",
        "return content, links",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "an entry's write cap leads where its read cap does",
        "src/tallac/dag/entry.py",
        "if isinstance(cap, WriteCap) and encode_cap(cap.read_cap) != self.encoded:",
        "if False:",
        "tests/unit/vault/check/test_write_caps.py",
    ),
    Mutation(
        "a check looks at write caps",
        "src/tallac/vault/check/write_caps.py",
        'waiting = [(b"", cap)] if isinstance(cap, MutableDirectoryWrite) else []',
        "waiting: list[tuple[bytes, MutableDirectoryWrite]] = []",
        "tests/unit/vault/check/test_write_caps.py",
    ),
    Mutation(
        "a copy compares the objects of packs",
        "src/tallac/vault/mirror/verify.py",
        "if not is_right(entry.hash, whole[: entry.length], whole[entry.length :]):",
        "if False:",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "a copy is followed from its roots",
        "src/tallac/vault/mirror/full.py",
        "lacking = peer.lacking(self._packs.wrong)",
        "lacking: list[str] = []",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "a copy leaves out what nobody has made",
        "src/tallac/vault/mirror/full.py",
        "if StoredPacks(self._source, self._structure).proved({bytes.fromhex(_digits(name)): size}):",
        "if True:",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "a mirror is pruned for itself",
        "src/tallac/vault/mirror/full.py",
        "return survey.needed(going) | survey.contradicted(listed, going)",
        "return set()",
        "tests/hostile/test_prune_and_copies.py",
    ),
    Mutation(
        "a mirror's states go forward",
        "src/tallac/vault/mirror/rollback_guard.py",
        "if last >= number:",
        "if False:",
        "tests/unit/vault/mirror",
    ),
    Mutation(
        "a mirror without a key remembers",
        "src/tallac/vault/mirror/rollback_guard.py",
        "if mirrored is not None and self._memory.was(name, content):",
        "if False:",
        "tests/unit/vault/mirror",
    ),
    Mutation(
        "a directory that was seen stops a prune when it is gone",
        "src/tallac/vault/prune/mark.py",
        "            if path not in roots:\n                raise _stopped(",
        "            if False:\n                raise _stopped(",
        "tests/hostile/test_keys.py",
    ),
    Mutation(
        "names stay in their directory",
        "src/tallac/restore/safe_names.py",
        'if name in _RESERVED or b"/" in name or b"\\0" in name:',
        "if False:",
        "tests/hostile/test_hostile_vaults.py",
    ),
    Mutation(
        "strangers bring no privileges",
        "src/tallac/restore/privileges.py",
        "if len(kept) == len(xattrs) and (mode is None or not privileged_bits(mode, is_directory=is_directory)):",
        "if True:",
        "tests/hostile/test_privileges.py",
    ),
    Mutation(
        "strangers bring no devices",
        "src/tallac/restore/privileges.py",
        "if entry.metadata.file_type in (FileType.BLOCK_DEVICE, FileType.CHARACTER_DEVICE):",
        "if False:",
        "tests/hostile/test_privileges.py",
    ),
    Mutation(
        "the gateway answers known names",
        "src/tallac/gateway/guard.py",
        "if len(hosts) != 1 or hosts[0].lower() not in self._allowed:",
        "if False:",
        "tests/interop/test_gateway_safety.py",
    ),
    Mutation(
        "browsers change nothing",
        "src/tallac/gateway/guard.py",
        "if method not in SAFE_METHODS and _is_of_browser(headers):",
        "if False:",
        "tests/interop/test_gateway_safety.py",
    ),
    Mutation(
        "a known vault stays where it is",
        "src/tallac/app/operations/recovery.py",
        "        if not may_move:\n",
        "        if False:\n",
        "tests/hostile/test_keys.py",
    ),
    Mutation(
        "a header alone is no vault",
        "src/tallac/app/operations/recovery.py",
        "        self._workspace.vaults.require_copy(url, header, key)\n",
        "",
        "tests/hostile/test_keys.py",
    ),
]


def main(wanted: str) -> int:
    """Try all mutations whose names contain a text; return the exit status."""
    survivors = [mutation.name for mutation in MUTATIONS if wanted in mutation.name and not is_noticed(mutation)]
    for name in survivors:
        print(f"NOT NOTICED: {name}")
    return bool(survivors)


def is_noticed(mutation: Mutation) -> bool:
    """Apply a mutation to a copy and run its tests."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(
            HERE, copy, ignore=shutil.ignore_patterns(".git", ".*venv", "build", "__pycache__", ".*_cache", ".hypothesis")
        )
        path = copy / mutation.path
        text = path.read_text()
        if text.count(mutation.before) != 1:
            raise SystemExit(f"{mutation.path} does not have once: {mutation.before}")
        path.write_text(text.replace(mutation.before, mutation.after))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests.split()]
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        failed = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        # Status 1 says that tests ran and some failed; all else, that they did not run.
        outcome = "noticed" if result.returncode == 1 else "SURVIVED"
        print(f"{outcome}: {mutation.name}: {failed[0] if failed else result.stdout[-300:]}", flush=True)
        return result.returncode == 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
