"""Pages escape their values, stand alone, and refuse a template that names a value that is not given."""

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from ftirlib.html_page import html_table, page


def test_values_are_escaped_and_markup_is_not():
    text = page("a <b>", "<p>{{ name }}</p>{{ curve }}", name="<script>'&", curve=Markup("<svg></svg>"))
    assert "<title>a &lt;b&gt;</title>" in text and "<h1>a &lt;b&gt;</h1>" in text
    assert "<p>&lt;script&gt;&#39;&amp;</p><svg></svg>" in text
    assert type(text) is str and text.startswith("<!doctype html>") and text.endswith("</html>\n")


def test_columns_of_numbers_are_set_to_the_right():
    table = html_table(["name <i>", "n", "share"], [["a", np.int64(3), "0.50"], ["b & c", 12, "1.00"]])
    assert '<th>name &lt;i&gt;</th><th class="n">n</th><th class="n">share</th>' in table
    assert '<td>b &amp; c</td><td class="n">12</td><td class="n">1.00</td>' in table
    assert html_table(["a"], []).count("<tr>") == 1
    assert "<th>" not in html_table(None, [["a", "b"]])


def test_a_value_that_is_missing_is_no_empty_text():
    with pytest.raises(UndefinedError, match="name"):
        page("title", "{{ name }}")
