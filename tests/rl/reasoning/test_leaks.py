"""Leaks: what tells an answer, by the word itself, by another word for it, or in the other language."""

from __future__ import annotations

import pytest

from lego.rl.reasoning.leaks import leaked, stem
from lego.rl.reasoning.numerals import in_digits


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        ("If it is red, remove it.", "red"),
        ("Paint the crimson thing.", "red"),
        ("如果它是红色，就去掉它。", "red"),
        ("Remove it if it is a disc.", "ball"),
        ("把圆盘去掉", "球"),
        ("Draw two circles.", "2"),
        ("Draw a couple of circles.", "two"),
        ("画两个方块", "2"),
        ("Draw 12 squares.", "一打共十二个"),
        ("take one square away", "1"),
        ("the stars", "a star"),
        ("put up a sign that says OPEN", "Open"),
        ("写上营业中三个字", "营业中"),
        ("the blue thing next to the tall box", "the blue box"),
        ("draw twenty-five dots", "25"),
        ("画二十五个点", "25"),
        ("write 1,200 on it", "twelve hundred"),
        ("write 1.50 on it", "1.5"),
        ("a hundred and five sheep", "105"),
        ("有三四个人", "3"),
        ("a bus full of children", "The buses"),
        ("the ladies' hats", "a lady's"),
        ("put roses there", "rose"),
        ("he runs away", "running"),
        ("they carried it", "to carry"),
        ("a bicycle", "bike"),
        ("some people wait", "a person"),
        ("make it reddish", "red"),
        ("write O-P-E-N", "open"),
        ("the star\u2019s edge", "star"),
        ("in the CAFÉ", "cafe"),
        ("нарисуй кошку рядом", "Кошку"),
        ("画一只小狗", "狗"),
        ("这里只有一个球", "一个"),
        ("写上５", "5"),
        ("犬がいる", "犬"),
    ],
)
def test_an_answer_is_told_by_any_word_for_it(instruction: str, answer: str) -> None:
    assert leaked(instruction, answer)


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        ("Find the colour of the star and paint the box with it.", "red"),
        ("把三角形去掉", "3"),
        ("在十字旁边画一个方块", "10"),
        ("Remove the leftmost one of them.", "1"),
        ("它的颜色是什么？", "红色"),
        ("Reading is fun", "ring"),
        ("a covered thing", "red"),
        ("What does the sign say?", "the"),
        ("Bring it back", "ring"),
        ("画一个方块", "一"),
        ("他在那里", "他跑"),
        ("the glass is there", "gla"),
        ("draw 250 dots", "25"),
        ("画二十五个点", "5"),
        ("draw twenty-five dots", "5"),
    ],
)
def test_words_that_only_contain_an_answer_or_are_empty_do_not_tell_it(instruction: str, answer: str) -> None:
    assert not leaked(instruction, answer, strict=True)


def test_a_long_answer_is_told_by_a_third_of_it_only() -> None:
    answer = "A man in a red coat walks a dog along the beach at dusk"
    assert not leaked("Show the man's view written on a board.", answer)
    assert leaked("Show the man's view written on a board.", answer, strict=True)
    assert leaked("Write that a man in a coat walks a dog.", answer)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("one", "one"), ("two three", "two three"), ("twenty", "20"), ("twenty-five cats", "25 cats"),
        ("a hundred and five", "a 105"), ("fourteen hundred", "1400"), ("two thousand and twenty one", "2021"),
        ("1,234.0 and 3.50, 10.05", "1234 and 3.5, 10.05"), ("二十五个", "25个"), ("一百零五", "105"), ("十二", "12"),
        ("三十万", "300000"), ("二零二四年", "2024年"), ("三四个", "三四个"), ("十字", "十字"),
        ("twentyish", "twentyish"),
    ],
)  # fmt: skip
def test_numbers_of_several_words_become_digits(text: str, digits: str) -> None:
    assert in_digits(text) == digits


def test_forms_of_a_word_have_one_stem() -> None:
    for forms in (
        "box boxes",
        "rose roses",
        "bus buses",
        "lady ladies",
        "run running",
        "carry carried",
        "house houses",
    ):
        assert len({stem(word) for word in forms.split()}) == 1, forms
    assert stem("ring") == "ring"
    assert stem("red") == "red"
    assert stem("glass") == "glass"
