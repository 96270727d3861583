"""Whether an expression can be parsed at all.

Argo has two languages: expr (``{{=…}}``, `depends`, `expression`), and govaluate (`when`). Neither is parsed when a
workflow is created; a mistake ends the node in Error, or stays in the text as it is. What is seen here is what both
have in common: operands and operators take turns, brackets and quotes match.

Comes in: texts. Goes out: what is wrong with them, to `dags`, `retries` and `references`.
"""

import re
from functools import lru_cache

__all__ = ["expression_fault", "strip_strings", "when_fault"]

_STRING = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_EXPR = re.compile(
    rf"\s*(?:(?P<string>{_STRING}|`[^`]*`)|(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|0[xX][\da-fA-F]+)"
    r"|(?P<name>[$A-Za-z_][\w$]*|#)|(?P<mark>&&|\|\||==|!=|<=|>=|\*\*|\?\?|\?\.|\.\.|[-+*/%^<>!=.,:;?|()\[\]{}]))"
)
_WHEN = re.compile(
    rf"\s*(?:(?P<string>{_STRING})|(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d][\w.]*|\[[^\]]*\])"
    r"|(?P<mark>&&|\|\||==|!=|<=|>=|=~|!~|\*\*|\?\?|<<|>>|[-+*/%^&|<>!~,:?()]))"
)
_WORDS = frozenset(["and", "or", "in", "matches", "contains", "startsWith", "endsWith"])
_PREFIX = frozenset({"!", "-", "+", "~", "not", "."})
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@lru_cache(maxsize=4096)
def expression_fault(text: str) -> str:
    """What keeps expr from parsing this; empty if nothing is seen."""
    return _Check(_WORDS, slices=True).fault(text, _EXPR)


def when_fault(text: str) -> str:
    """What keeps govaluate from parsing a `when`; tags stand for a value each."""
    # A tag in quotes leaves its quotes, one outside stands for itself.
    return _Check(frozenset({"in"}), slices=False).fault(re.sub(r"\{\{.*?\}\}", "x", text, flags=re.DOTALL), _WHEN)


def strip_strings(text: str) -> str:
    """An expression without the content of its quoted texts."""
    return re.sub(rf"{_STRING}|`[^`]*`", "''", text)


class _Check:
    """Reads an expression once, from left to right; knows whether an operand or an operator may come next."""

    def __init__(self, words: frozenset[str], *, slices: bool) -> None:
        self.words, self.slices = words, slices
        self.brackets: list[str] = []
        self.grouping: list[bool] = []  # for each bracket, whether it stands where an operand may
        self.operand = True
        self.last = ""

    def fault(self, text: str, pattern: re.Pattern[str]) -> str:
        position, end = 0, len(text.rstrip())
        if not end:
            return "it is empty"
        while position < end:
            match = pattern.match(text, position)
            if match is None:
                return f"`{text[position:].strip()[:10]}` is not understood"
            position = match.end()
            word = match[match.lastgroup or 0]
            fault = self._mark(word) if match.lastgroup == "mark" else self._word(word, match.lastgroup)
            if fault:
                return fault
            self.last = word
        if self.brackets:
            return f"`{self.brackets[-1]}` is not closed"
        return f"nothing follows `{self.last}`" if self.operand and self.last != ";" else ""

    def _word(self, word: str, group: str | None) -> str:
        if group == "name" and word in self.words and self.last not in (".", "?."):
            return self._operator(word)
        if group == "name" and word == "not" and "and" in self.words:
            # `not x`, and `x not in y`.
            return ""
        if group == "name" and word in ("let", "if", "else"):
            self.operand = True
            return ""
        if not self.operand:
            return f"an operator is missing before `{word}`"
        self.operand = False
        return ""

    def _mark(self, word: str) -> str:
        if word in _CLOSING:
            return self._open(word)
        if word in _CLOSING.values():
            return self._close(word)
        if self.operand and word in _PREFIX:
            return ""
        if word in (".", "?.") and not self.operand:
            self.operand = True
            return ""
        if word == ":" and self.slices and self.brackets[-1:] == ["["]:
            self.operand = True
            return ""
        return self._operator(word)

    def _operator(self, word: str) -> str:
        if self.operand:
            return f"an operand is missing before `{word}`"
        self.operand = True
        return ""

    def _open(self, word: str) -> str:
        if not self.operand and word == "{" and self.last != ")":
            return "an operator is missing before `{`"
        self.brackets.append(word)
        self.grouping.append(self.operand)
        self.operand = True
        return ""

    def _close(self, word: str) -> str:
        if not self.brackets or _CLOSING[self.brackets.pop()] != word:
            return f"`{word}` closes nothing"
        # f(), [] and {} are whole, () is not.
        empty = self.last in _CLOSING and (word != ")" or not self.grouping[-1])
        self.grouping.pop()
        if self.operand and not empty and self.last not in (",", ":", ";"):
            return f"an operand is missing before `{word}`"
        self.operand = False
        return ""
