"""Pages of HTML that need no other file: they read on a telephone and print on A4."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from numbers import Number

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

STYLE = """@page { size: A4; margin: 10mm 12mm }
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:46rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}li{margin:.35rem 0}
svg{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{color:#444;font-size:.9rem}
.wide{overflow-x:auto}table{border-collapse:collapse}td svg{display:block;max-width:none}
th,td{padding:.25rem .7rem .25rem 0;border-bottom:1px solid #ddd;text-align:left}th.n,td.n{text-align:right}
pre{font:.75rem/1.3 monospace;background:#f4f4f4;padding:.5rem;white-space:pre-wrap}
b.problem{color:#b3261e}b.warning{color:#8a5a00}b.note{color:#345}
@media(min-width:40rem){.two{display:grid;grid-template-columns:1fr 1fr;gap:1.5rem}}
@media print{body{font:8pt/1.2 sans-serif;margin:0;padding:0;max-width:186mm}
h1{font-size:13pt;margin:0 0 1mm}h2{font-size:9pt;margin:2mm 0 .5mm;border-bottom:.3mm solid #999}
p,ol,ul{margin:1mm 0}ol,ul{padding-left:5mm}li{margin:0}.wide{overflow:visible}table{width:100%}
th,td{padding:.3mm 2mm .3mm 0;border-bottom-width:.1mm}tr,figure{break-inside:avoid}
pre{font-size:6.3pt;line-height:1.15;padding:1mm;margin:1mm 0}
.two{display:grid;grid-template-columns:1fr 1fr;gap:5mm}}"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style></head>
<body>
<h1>{{ title }}</h1>
{{ body }}
</body></html>
"""
TABLE = """<div class="wide"><table>
{% for tag, row in lines %}
<tr>
{%- for value in row %}<{{ tag }}{% if right[loop.index0] %} class="n"{% endif %}>{{ value }}</{{ tag }}>{% endfor -%}
</tr>
{% endfor %}
</table></div>"""


def page(title: str, body: str, **values) -> str:
    """One page of HTML, with its style inside.

    Parameters
    ----------
    title : str
    body : str
        Jinja template of the page below its title, in which ``table(head, rows)`` is `html_table`. Every value is
        escaped unless it is `markupsafe.Markup`.
    **values
        Of the template's names.

    Examples
    --------
    >>> "<p>a &lt; b</p>" in page("Title", "<p>{{ text }}</p>", text="a < b")
    True
    """
    filled = _filled(body, table=html_table, **values)
    return f"{_filled(PAGE, title=title, style=Markup(STYLE), body=filled)}\n"


def html_table(head: Sequence | None, rows: Sequence[Sequence]) -> Markup:
    """Rows as a table that scrolls where it is wider than the page; columns of numbers are set to the right.

    Examples
    --------
    >>> print(html_table(["class", "spectra"], [["normal", 12]]))
    <div class="wide"><table>
    <tr><th>class</th><th class="n">spectra</th></tr>
    <tr><td>normal</td><td class="n">12</td></tr>
    </table></div>
    """
    lines = [*([] if head is None else [("th", head)]), *(("td", row) for row in rows)]
    right = [_is_number(value) for value in rows[0]] if rows else [False] * len(head)
    return _filled(TABLE, lines=lines, right=right)


def _is_number(value) -> bool:
    return isinstance(value, Number) or str(value).replace(".", "", 1).isdigit()


@cache
def _environment() -> Environment:
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _filled(template: str, **values) -> Markup:
    """A template with its values, which are escaped."""
    return Markup(_environment().from_string(template).render(**values))
