"""Claims of the paper get their verdict by rule alone."""

import pytest
from shown.cells import shown
from shown.claims import Claim, Difference, claim_table, verdicts_text

NAN = float("nan")
ABOVE, BELOW, ACROSS = (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.1, -0.1, 0.3)
UNKNOWN = (NAN, NAN, NAN)


def claim(*intervals):
    return Claim("It is so.", "By this.", [Difference(f"part {k}", *one) for k, one in enumerate(intervals)])


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([ABOVE], "agree"),
        ([ABOVE, ABOVE], "agree"),
        ([ABOVE, ACROSS], "cannot tell"),
        ([ABOVE, (0.1, 0.0, 0.2)], "cannot tell"),
        ([ABOVE, BELOW], "disagree"),
        ([ACROSS, BELOW], "disagree"),
        ([ABOVE, UNKNOWN], "cannot tell"),  # a part that nothing is known of cannot agree
        ([UNKNOWN, BELOW], "disagree"),
        ([UNKNOWN], "not measured"),
        ([(0.1, NAN, NAN)], "not measured"),
        ([], "not measured"),
    ],
)
def test_the_verdict_follows_from_the_intervals(intervals, verdict):
    assert claim(*intervals).verdict == verdict


def test_every_number_is_in_the_table():
    found = [claim(ABOVE, BELOW), claim(ACROSS)]
    table = claim_table(found)
    numbers = table["difference [interval]"]
    assert numbers[0].split("\n") == ["part 0: +0.20 [+0.10, +0.30]", "part 1: −0.20 [−0.30, −0.10]"]
    assert verdicts_text(found) == "of 2 claims 1 disagree, 1 cannot tell"
    assert "part 1: −0.20" in shown(table).to_html()
