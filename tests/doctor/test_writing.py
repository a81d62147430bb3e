"""asr-doctor says what the text settings do, and is not calm when letters or numbers are lost."""

import json
from pathlib import Path

import pytest
from test_doctor import utterances

from asr.cli.doctor import main
from asr.doctor.writing import before_and_after
from asr.manifest import Utterance, write_manifest

ENGLISH = "the man and the woman were in {} of the {} with a dog that was not his to have"
GERMAN = "der Bäcker und die {} waren in {} Häusern mit einem Hund den er nicht kannte"
NAMES = ["anna", "berta", "clara", "dora", "emma", "frida", "greta", "hanna", "ida", "julia"]


def written(folder: Path, template: str, **more: str) -> list[Utterance]:
    made = utterances(folder, "t", 45, 7)
    return [
        Utterance(
            **{
                **vars(item),
                "text": template.format(NAMES[n % 10] + "qwxyz"[n % 5], 3 if n < 9 else "drei"),
                **more,
            }
        )
        for n, item in enumerate(made)
    ]


def diagnosed(
    folder: Path,
    members: list[Utterance],
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> dict[str, tuple[str, int]]:
    """Return severity and count of the findings about writing."""
    write_manifest(folder / "m.jsonl", members)
    main([str(folder / "m.jsonl"), "--json", *options])
    report = json.loads(capsys.readouterr().out)
    kinds = ("lost-letters", "english-numbers", "digits")
    return {
        f["kind"]: (f["severity"], f["count"]) for f in report["findings"] if f["kind"] in kinds
    }


def test_another_language_by_the_settings_of_english(tmp_path: Path, capsys) -> None:
    found = diagnosed(tmp_path, written(tmp_path, GERMAN), capsys)
    assert found == {"lost-letters": ("warning", 45), "english-numbers": ("warning", 9)}
    assert main([str(tmp_path / "m.jsonl")]) in (0, 1)
    shown = capsys.readouterr().out
    assert "becomes" in shown and "WAREN IN THREE" in shown
    assert "--language any keeps all" in shown
    assert shown.count("\ntext: ") == 3
    assert "recommended: asr-train --preset half-hour" in shown


def test_a_language_that_is_named(tmp_path: Path, capsys) -> None:
    members = written(tmp_path, GERMAN)
    assert diagnosed(tmp_path, members, capsys, "--language", "any") == {"digits": ("warning", 9)}
    pytest.importorskip("num2words")
    assert diagnosed(tmp_path, members, capsys, "--language", "de") == {}
    assert diagnosed(tmp_path, written(tmp_path, GERMAN, language="de"), capsys) == {}


def test_faulty_lines_do_not_hide_the_language(tmp_path: Path, capsys) -> None:
    write_manifest(tmp_path / "m.jsonl", written(tmp_path, GERMAN, language="any"))
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines, lines[0], "no JSON"]))
    main([str(tmp_path / "bad.jsonl"), "--json"])
    found = {finding["kind"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert {"malformed-line", "duplicate-id"} <= found and "lost-letters" not in found


def test_english_with_digits_and_a_few_foreign_words_is_fine(tmp_path: Path, capsys) -> None:
    members = written(tmp_path, ENGLISH)
    assert diagnosed(tmp_path, members, capsys) == {}
    first = Utterance(**{**vars(members[0]), "text": members[0].text.replace("dog", "café")})
    assert diagnosed(tmp_path, [first, *members[1:]], capsys) == {"lost-letters": ("warning", 1)}
    many = [*members, *(Utterance(**{**vars(i), "id": f"x{i.id}"}) for i in members)]
    assert diagnosed(tmp_path, [first, *many[1:]], capsys) == {}


def test_what_is_shown_begins_where_it_matters() -> None:
    raw = "a long beginning without anything odd, and then zwölf Äpfel"
    assert before_and_after(raw, raw.upper().replace(",", "")).startswith(
        "'anything odd, and then zwölf"
    )
    assert before_and_after("Hi!", "HI") == "'Hi!' becomes 'HI'"
