# SPDX-License-Identifier: Apache-2.0
import pytest

from edgeq_devices.job import Job, Model, Test, plan


@pytest.mark.parametrize(
    ("test", "name"),
    [
        (Test(prompt=512), "pp512"),
        (Test(generate=128), "tg128"),
        (Test(prompt=512, generate=128), "pp512+tg128"),
        (Test(generate=128, depth=1024), "tg128 @ d1024"),
        (Test(prompt=64, encoder=True), "enc64"),
    ],
)
def test_names_are_those_of_llama_bench(test, name):
    assert test.name == name


def test_an_encoder_counts_sentences_and_a_decoder_tokens():
    assert (Test(prompt=64, encoder=True).work, Test(prompt=64, encoder=True).unit) == (1, "sentences/s")
    assert (Test(prompt=5, generate=3, depth=7).work, Test(generate=3).unit) == (8, "tokens/s")
    assert Test(prompt=5, generate=3, depth=7).context == 15


def test_plan_takes_all_lengths_at_each_depth_and_leaves_out_zeros():
    assert [test.name for test in plan([512, 0], [0, 16, 32], [0, 64], encoder=False)] == [
        *("pp512", "tg16", "tg32"),
        *("pp512 @ d64", "tg16 @ d64", "tg32 @ d64"),
    ]


def test_plan_of_an_encoder_has_one_test_per_length():
    assert [test.name for test in plan([16, 128], [128], [0], encoder=True)] == ["enc16", "enc128"]


def test_a_job_survives_its_json():
    job = Job(Model("out dir/ü"), Test(prompt=3, depth=2), threads=2, repetitions=7, warmup=False, seed=5)
    line = job.to_json()
    assert "\n" not in line
    assert Job.from_json(line) == job
