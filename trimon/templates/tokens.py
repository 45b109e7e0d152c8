"""The tokens of a template as the parser reads them: with looking ahead, and putting back."""

from __future__ import annotations

from trimon.templates.lexer import Lexer, Token, TokenKind


class Tokens:
    """The tokens of a text, with what was put back."""

    def __init__(self, text: str) -> None:
        self._lexer = Lexer(text)
        self._back: list[Token] = []
        self.line = 1
        """The line of the token that was read last, put back or not: errors are told there."""
        self.depth = 0
        """How deep the parser is, in bodies and parentheses."""

    def next(self) -> Token:
        """The next token."""
        if self._back:
            return self._back.pop()
        token = self._lexer.next()
        self.line = token.line
        return token

    def back(self, token: Token) -> None:
        """Puts a token back."""
        self._back.append(token)

    def peek(self) -> Token:
        """The next token, which stays."""
        token = self.next()
        self._back.append(token)
        return token

    def next_shown(self) -> Token:
        """The next token that is no blank."""
        while (token := self.next()).kind is TokenKind.SPACE:
            pass
        return token

    def peek_shown(self) -> Token:
        """The next token that is no blank, which stays; blanks before it are gone."""
        token = self.next_shown()
        self._back.append(token)
        return token
