"""Recipes: what they allow, and what they say about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lego.core.errors import RecipeError
from lego.rl import recipe
from lego.rl.recipe import Recipe


def altered(tmp_path: Path, old: str, new: str) -> Path:
    """The nano's recipe with a change."""
    text = (recipe.FOLDER / "nano.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_of_the_package_can_be_read_and_names_itself(name: str) -> None:
    made = Recipe.load(name)
    assert made.name == name
    assert made.sft.steps > 0
    assert {"plan", "exact"} <= set(made.grpo_gt.weights)
    assert made.grpo_gt.execute == ("picture" in made.grpo_gt.weights)
    assert set(made.grpo_free.weights) == {"free"}
    if made.grpo_gt.minibatch:
        assert made.grpo_gt.prompts * made.grpo_gt.group % made.grpo_gt.minibatch == 0


def test_an_unknown_key_is_an_error_that_names_file_key_and_the_nearest_one(tmp_path: Path) -> None:
    path = altered(tmp_path, "batch = 64", "batchsize = 64")
    with pytest.raises(RecipeError, match=r"no key 'sft\.batchsize'") as caught:
        Recipe.load(path)
    assert caught.value.where == str(path)
    assert caught.value.hint == "did you mean 'batch'?"


def test_an_unknown_key_within_a_table_of_a_table_is_found(tmp_path: Path) -> None:
    path = altered(tmp_path, "data = { seed = 1 }", "data = { seeds = 1 }")
    with pytest.raises(RecipeError, match=r"grpo_gt\.data\.seeds") as caught:
        Recipe.load(path)
    assert caught.value.hint == "did you mean 'seed'?"


def test_all_wrong_values_are_told_together(tmp_path: Path) -> None:
    path = altered(tmp_path, "lr = 1.5e-3", 'lr = -1\nschedule = "random"')
    with pytest.raises(RecipeError, match=r"(?s)sft\.lr.*sft\.schedule"):
        Recipe.load(path)


def test_text_that_is_no_toml_and_a_file_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path / "broken.toml")
    with pytest.raises(RecipeError, match="no recipe") as caught:
        Recipe.load(tmp_path / "none.toml")
    assert "nano" in caught.value.hint


def test_one_dial_makes_a_run_shorter_or_longer() -> None:
    nano = Recipe.load("nano")
    tenth, double = nano.scaled(0.1), nano.scaled(2)
    assert tenth.sft.steps == nano.sft.steps // 10
    assert double.grpo_gt.steps == nano.grpo_gt.steps * 2
    assert nano.scaled(1e-9).sft.steps == 1
    assert nano.scaled(1) == nano
    with pytest.raises(RecipeError, match="scale"):
        nano.scaled(0)
