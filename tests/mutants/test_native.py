"""The faults that are planted in C: where, which, and what is known of them when a run goes on."""

from pathlib import Path

from tests.mutants.native import DETECTED, SURVIVED, Result, mutants, read

SOURCE = """\
#define LEAST (1 < 2) /* a < b; */
static int of(int a) {
    const char *text = "a < b";
    // a < b
    if (a <= 3)
        report(a, '<');
    return a + 1;
}
"""


def test_faults_are_planted_in_code_alone() -> None:
    planted = list(mutants("of.c", SOURCE))
    assert [(SOURCE[mutant.begin : mutant.end], mutant.text) for mutant in planted] == [
        ("<=", "<"),
        ("+", "-"),
        ("1", "0"),
        ('const char *text = "a < b";', ";"),
        ("report(a, '<');", ";"),
    ]
    assert planted[0].describe(SOURCE) == "of.c:5:10: 'if (a <= 3)': '<=' -> '<'"
    changed = [mutant.apply(SOURCE) for mutant in planted]
    assert len(set(changed)) == len(planted) and SOURCE not in changed
    assert "    if (a < 3)\n" in changed[0] and "        ;\n" in changed[4]


def test_the_last_result_of_a_fault_counts(tmp_path: Path) -> None:
    file = tmp_path / "results.tsv"
    file.write_text(
        "survived\t2.0\t\tof.c:5:10: one\n"
        "survived\t2.5\t\tof.c:7:13: other\n"
        "detected\t0.5\ttests/test_of.py::test_of[a b]\tof.c:5:10: one\n"
    )
    assert read(file) == {
        "of.c:5:10: one": Result(DETECTED, 0.5, "tests/test_of.py::test_of[a b]", "of.c:5:10: one"),
        "of.c:7:13: other": Result(SURVIVED, 2.5, "", "of.c:7:13: other"),
    }
