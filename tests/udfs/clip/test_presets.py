"""DataComp's recipes, and what a user may change of them."""

import pytest

from lakehouse.errors import BadInput
from udfs.clip.presets import PRESETS, Scale, check_share, scale_of
from udfs.clip.recipe import Recipe
from udfs.clip.sizes import SIZES
from udfs.optimizer import schedule


@pytest.mark.parametrize(
    ("preset", "recipe"),
    [
        ("datacomp-small", ("ViT-B-32", 4096, 12_800_000, 5e-4, 500, 0.98)),
        ("datacomp-medium", ("ViT-B-32", 4096, 128_000_000, 5e-4, 500, 0.98)),
        ("datacomp-large", ("ViT-B-16", 8192, 1_280_000_000, 5e-4, 500, 0.98)),
        ("datacomp-xlarge", ("ViT-L-14", 90_112, 12_800_000_000, 1e-3, 10_000, 0.95)),
    ],
)
def test_a_preset_is_datacomps_recipe(preset: str, recipe: tuple[object, ...]) -> None:
    scale = scale_of(preset)
    told = (scale.model, scale.batch_size, scale.samples, scale.learning_rate, scale.warmup_steps, scale.beta2)
    assert told == recipe
    assert (scale.crop, scale.flip, scale.hni_weight, scale.stc_weight) == ("random_resized", False, 0, 0)


def test_what_is_no_part_of_datacomps_recipe_can_be_asked_for() -> None:
    scale = scale_of("datacomp-small", flip=True, hni_weight=0.1, crop=None)
    assert (scale.flip, scale.hni_weight, scale.stc_weight, scale.crop) == (True, 0.1, 0, "random_resized")


def test_weights_of_losses_have_one_default() -> None:
    assert (
        (scale_of("").hni_weight, scale_of("").stc_weight) == (Recipe().hni_weight, Recipe().stc_weight) == (0.1, 0.002)
    )


def test_flags_go_before_the_preset() -> None:
    scale = scale_of("datacomp-small", batch_size=64, beta2=0.9, model=None)
    assert (scale.batch_size, scale.beta2, scale.model) == (64, 0.9, "ViT-B-32")


def test_epochs_that_are_asked_for_go_before_the_presets_samples() -> None:
    assert scale_of("datacomp-small", epochs=3).samples == 0
    assert scale_of("datacomp-small", epochs=3, samples=9).samples == 9


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="unknown preset 'datacomp': expected one of datacomp-small, datacomp-medium"):
        scale_of("datacomp")


def test_every_preset_names_a_size_that_there_is() -> None:
    assert {scale.model for scale in PRESETS.values()} <= set(SIZES)
    assert PRESETS[""] == Scale()


def test_a_batch_is_shared_equally() -> None:
    check_share(90_112, 64)
    with pytest.raises(BadInput, match="--batch-size 10 is not shared equally by 4 processes"):
        check_share(10, 4)


def test_the_rate_rises_over_the_steps_that_are_asked_for() -> None:
    recipe = Recipe(warmup_steps=4)
    rates = [schedule(step, 10, recipe.warmup_of(10)) for step in range(11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[-1] == 0


def test_a_training_that_ends_in_its_warm_up_never_reaches_the_peak() -> None:
    rates = [schedule(step, 3, Recipe(warmup_steps=500).warmup_of(3)) for step in range(3)]
    assert rates == pytest.approx([1 / 500, 2 / 500, 3 / 500])
