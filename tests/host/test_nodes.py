"""Every node as the host sees it: registered, described, and refusing what does not belong."""

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import builders
import pytest
import torch

ROOT = Path(__file__).parents[2]


def own(host: Any) -> dict[str, Any]:
    return {k: v for k, v in host.NODE_CLASS_MAPPINGS.items() if k.startswith("Tora2")}


def test_all_nodes_are_there(host: Any) -> None:
    assert set(own(host)) >= {
        "Tora2LoadModel",
        "Tora2LoadAdapter",
        "Tora2TrajectoryEditor",
        "Tora2ImportTrajectories",
        "Tora2ExportTrajectories",
        "Tora2Bind",
        "Tora2Apply",
        "Tora2ImageToVideo",
        "Tora2Sampler",
        "Tora2Overlay",
        "Tora2LoadTiny",
    }


def test_schema_and_execute_agree(host: Any) -> None:
    for name, node in own(host).items():
        schema = node.define_schema()
        parameters = inspect.signature(node.execute).parameters
        assert {i.id for i in schema.inputs} == set(parameters), name
        for input in schema.inputs:
            required = parameters[input.id].default is inspect.Parameter.empty
            assert not (input.optional and required), f"{name}.{input.id}"


def test_everything_is_explained(host: Any) -> None:
    for name, node in own(host).items():
        schema = node.define_schema()
        assert schema.category.startswith("Tora2/") and schema.display_name, name
        assert schema.description and schema.search_aliases, name
        for part in (*schema.inputs, *schema.outputs):
            assert part.tooltip and part.tooltip.endswith("."), f"{name}.{part.id}"
        help_page = ROOT / "web" / "docs" / f"{name}.md"
        assert help_page.is_file() and f"# {schema.display_name}" in help_page.read_text(), name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_translations_are_complete_and_current(host: Any, language: str) -> None:
    folder = ROOT / "locales" / language
    given = json.loads((folder / "nodeDefs.json").read_text(encoding="utf-8"))
    for name, node in own(host).items():
        schema = node.define_schema()
        entry = given[name]
        assert set(entry["inputs"]) == {i.id for i in schema.inputs}, name
        assert set(entry["outputs"]) == {str(i) for i in range(len(schema.outputs))}, name
        for part in entry["inputs"].values():
            assert part["name"] and part["tooltip"]
        if language == "en":
            assert entry["display_name"] == schema.display_name
            assert entry["description"] == schema.description
            for input in schema.inputs:
                assert entry["inputs"][input.id]["tooltip"] == input.tooltip, f"{name}.{input.id}"
    main = json.loads((folder / "main.json").read_text(encoding="utf-8"))
    categories = {
        part for n in own(host).values() for part in n.define_schema().category.split("/")
    }
    assert set(main["nodeCategories"]) == categories


def validated(host: Any, name: str, **inputs: Any) -> tuple[bool, str]:
    """What the host's own validation says of a prompt with this one node."""
    import execution

    prompt = {"1": {"class_type": name, "inputs": inputs}}
    for number, (key, value) in enumerate(list(inputs.items()), start=2):
        if isinstance(value, str) and value.startswith("@"):
            prompt[str(number)] = {"class_type": value[1:], "inputs": {}}
            inputs[key] = [str(number), _output(host, value[1:], host, name, key)]
    good, errors, _ = asyncio.run(execution.validate_inputs("p", prompt, "1", {}))
    return good, " | ".join(error["details"] for error in errors)


def _output(host: Any, source: str, *_: Any) -> int:
    return 0


JUNK = [
    ("Tora2Sampler", {"steps": 0}, "steps is 0, expected an integer from 1 to 1000"),
    ("Tora2Sampler", {"steps": 10**30}, "steps is 1000"),
    ("Tora2Sampler", {"guidance": float("nan")}, "guidance is nan, expected a number from 0 to"),
    ("Tora2Sampler", {"guidance": 1e300}, "guidance is 1e+300, expected a number"),
    ("Tora2Sampler", {"guidance_mode": "wild"}, "guidance_mode is 'wild', expected one of const"),
    ("Tora2Sampler", {"seed": -1}, "seed is -1"),
    ("Tora2Sampler", {"latent": 5}, "latent is 5, expected a connection from another node"),
    ("Tora2Sampler", {"model": {"a": 1}}, "expected a connection from another node"),
    ("Tora2Apply", {"motion_strength": -1}, "motion_strength is -1"),
    ("Tora2Apply", {"appearance_strength": float("inf")}, "appearance_strength is inf"),
    ("Tora2Apply", {"motion_start": 0.9, "motion_end": 0.2}, "start not to lie after the end"),
    ("Tora2Bind", {"flow_mode": ["x"]}, "flow_mode"),
    ("Tora2Bind", {"adapter": "../../etc/passwd"}, "adapter is '../../etc/passwd'"),
    ("Tora2ImageToVideo", {"width": 100}, "width is 100, expected a multiple of 16"),
    ("Tora2ImageToVideo", {"height": 2**40}, "height is 1099511627776, expected an integer"),
    ("Tora2ImageToVideo", {"frames": 50}, "frames is 50, expected 4k + 1"),
    ("Tora2ImageToVideo", {"fit": ""}, "fit is '', expected one of crop"),
    ("Tora2LoadModel", {"model": "../../secret.safetensors"}, "model is '../../secret"),
    ("Tora2LoadModel", {"model": "nothing.safetensors"}, "model is 'nothing.safetensors'"),
    ("Tora2LoadModel", {"weight_dtype": "int1"}, "weight_dtype: 'int1' not in ['default'"),
    ("Tora2LoadAdapter", {"adapter": "..\\x"}, "adapter is"),
    ("Tora2ImportTrajectories", {"text": '{"version": 7}'}, "version is 7, expected at most 2"),
    ("Tora2ImportTrajectories", {"text": '{"version": 1, "tracks": 5}'}, "has no key"),
    ("Tora2ImportTrajectories", {"text": "[" * 100_000}, "nested too deeply"),
    ("Tora2ImportTrajectories", {"text": "what?"}, "Tora2ImportTrajectories"),
    ("Tora2ImportTrajectories", {"file": "../nodes.py"}, "file is '../nodes.py'"),
    ("Tora2ImportTrajectories", {"frames": 10**9}, "frames is 1000000000"),
    ("Tora2ExportTrajectories", {"filename_prefix": "../../x"}, "inside the output folder"),
    ("Tora2ExportTrajectories", {"filename_prefix": "/etc/x"}, "inside the output folder"),
    ("Tora2ExportTrajectories", {"filename_prefix": "a/..\\b"}, "inside the output folder"),
    ("Tora2ExportTrajectories", {"format": "exe"}, "format is 'exe', expected one of document"),
    ("Tora2Overlay", {"scale": 1000}, "scale is 1000, expected an integer from 1 to 8"),
    ("Tora2TrajectoryEditor", {"document": {"version": 99}}, "version is 99"),
    ("Tora2TrajectoryEditor", {"document": 12}, "12"),
]


@pytest.mark.parametrize(("node", "inputs", "expected"), JUNK)
def test_junk_is_refused_with_a_sentence(host: Any, node: str, inputs: dict, expected: str) -> None:
    good, details = validated(host, node, **inputs)
    assert not good
    assert expected in details and next(iter(inputs)) in details


def test_a_hundred_entities_are_refused(host: Any) -> None:
    entities = {f"entities.entity{i}": 1 for i in range(100)}
    good, details = validated(host, "Tora2Bind", **entities)
    assert not good and "entities" in details
    inputs = host.NODE_CLASS_MAPPINGS["Tora2Bind"].validate_inputs(
        entities={f"entity{i}": None for i in range(100)}
    )
    assert inputs == "Tora2Bind: entities has 100 connections, expected at most 64"


def test_good_values_pass(host: Any) -> None:
    node = host.NODE_CLASS_MAPPINGS
    assert node["Tora2Sampler"].validate_inputs(
        model=None, positive=None, latent=None, seed=2**64 - 1, steps=50, guidance=6.0
    )
    text = json.dumps([[{"x": 10, "y": 10}] * 17])
    assert node["Tora2ImportTrajectories"].validate_inputs(text=text, file="none") is True


def document(pack: builders.Pack, **changes: Any) -> Any:
    value = {
        "version": 1,
        "width": 96,
        "height": 96,
        "frames": 17,
        "entities": [{"id": "cat"}, {"id": "dog", "name": "Rex"}],
        "tracks": [
            {"id": "a", "entity": "dog", "points": [{"x": 0.1, "y": 0.5}, {"x": 0.9, "y": 0.5}]}
        ],
    }
    return pack("tora2.trajectory").parse(value | changes)


def entity(pack: builders.Pack, word: str, name: str = "") -> Any:
    return pack("tora2.encoders.entity").EncodedEntity(word=word, name=name)


def test_entities_are_matched_by_name_then_word(pack: builders.Pack) -> None:
    match = pack("nodes.matching").match
    doc = document(pack)
    got = match([entity(pack, "puppy", "rex"), entity(pack, "Cat "), entity(pack, "bird")], doc)
    assert [one.place for one in got] == [1, 0, None]
    # An entity that is drawn but not given stands for itself by its name.
    assert [(one.entity.word, one.place) for one in match([], doc)] == [("Rex", 1)]
    with pytest.raises(ValueError, match="'wolf' is not in the trajectories, which have cat, Rex"):
        match([entity(pack, "puppy", "wolf")], doc)
    with pytest.raises(ValueError, match="two entities want the paths of 'cat'"):
        match([entity(pack, "cat"), entity(pack, "CAT")], doc)


def test_import_reads_every_source(host: Any, pack: builders.Pack) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2ImportTrajectories"]
    expected = pack("tora2.trajectory").sample(document(pack)).points
    dumps = pack("tora2.trajectory.document").dumps
    base = {"file": "none", "width": 96, "height": 96, "frames": 17}
    text = node.execute(text=dumps(document(pack)), **base)
    assert torch.allclose(text.result[1]["track_path"][:, 0], expected[0], atol=1e-3)
    again = node.execute(text="", tracks=text.result[1], **base)
    assert torch.allclose(again.result[1]["track_path"], text.result[1]["track_path"], atol=1e-2)
    masks = torch.zeros(17, 48, 48)
    for frame in range(17):
        masks[frame, 10:20, frame : frame + 6] = 1
    masks[16] = 0
    moved = node.execute(text=" ", masks=masks, **base).result[1]
    assert moved["track_path"][:16, 0, 0].tolist() == pytest.approx(
        [2 * (frame + 3) for frame in range(16)], abs=0.05
    )
    assert moved["track_visibility"][:, 0].tolist() == [True] * 16 + [False]
    with pytest.raises(ValueError, match="nothing is given, expected exactly one"):
        node.execute(text="", **base)


def test_export_stays_in_the_output_folder(host: Any, pack: builders.Pack) -> None:
    import folder_paths

    node = host.NODE_CLASS_MAPPINGS["Tora2ExportTrajectories"]
    for format in ("document", "points", "tracks", "csv", "tora"):
        made = node.execute(document(pack), f"deep/{format}", format)
        for file in made.ui["tora2_files"]:
            path = Path(folder_paths.get_output_directory()) / file["subfolder"] / file["filename"]
            assert path.is_file() and path.stat().st_size
    points = made.result[1]["track_path"]
    assert [[point["x"] for point in path] for path in json.loads(made.result[0])] == [
        pytest.approx(points[:, 0, 0].tolist())
    ]


def test_overlay_draws_and_keeps_the_rest(host: Any, pack: builders.Pack) -> None:
    node = host.NODE_CLASS_MAPPINGS["Tora2Overlay"]
    frames = torch.zeros(17, 96, 96, 3)
    drawn = node.execute(frames, document(pack), labels=True, scale=2).result[0]
    assert drawn.shape == (17, 192, 192, 3) and drawn[:, 90:102].amax() > 0.5
    assert drawn[:, :40].amax() == 0
    assert node.execute(torch.zeros(33, 96, 96, 3), document(pack)).result[0].shape[0] == 33
    longer = torch.cat([torch.ones(3, 96, 96, 3), frames])  # as CogVideoX's VAE may decode them
    assert torch.equal(node.execute(longer, document(pack), labels=True, scale=2).result[0], drawn)
    with pytest.raises(ValueError, match="18"):
        node.execute(torch.zeros(18, 96, 96, 3), document(pack))


def test_image_to_video_encodes_the_first_frame_alone(host: Any, pack: builders.Pack) -> None:
    class Vae:
        first_stage_model = None

        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            assert frames.shape == (1, 64, 96, 3)
            return torch.ones(1, 16, 1, 8, 12)

    node = host.NODE_CLASS_MAPPINGS["Tora2ImageToVideo"]
    text = [[torch.zeros(1, 226, 8), {"pooled_output": None}]]
    image = torch.rand(3, 40, 40, 3)
    positive, negative, latent = node.execute(
        text, text, Vae(), image, 96, 64, 9, "crop", batch_size=2
    ).result
    assert positive[0][1]["concat_latent_image"].shape == (1, 16, 1, 8, 12)
    assert "concat_latent_image" in negative[0][1] and "concat_latent_image" not in text[0][1]
    assert latent["samples"].shape == (2, 16, 3, 8, 12)


def test_bind_says_what_is_missing(host: Any, pack: builders.Pack) -> None:
    adapters, types = pack("nodes.host.adapters"), pack("nodes.io_types")
    loaded = types.LoadedAdapter(adapters.manage(builders.adapter(pack)), "small")
    node = host.NODE_CLASS_MAPPINGS["Tora2Bind"]
    with pytest.raises(ValueError, match="expected a connection to the input vae"):
        node.execute(loaded, document(pack))
    with pytest.raises(ValueError, match="video is 100x96 .* multiples of 16"):
        node.execute(loaded, document(pack, width=100))
    bound, report, flow = node.execute(loaded, document(pack, tracks=[])).result
    assert bound.size is None and bound.conditioning.features is None
    assert report == "nothing: text alone" and flow.min() == 1


def test_bind_looks_for_the_words_in_the_prompt(host: Any, pack: builders.Pack) -> None:
    checked = pack("nodes.matching").checked
    entity = pack("tora2.encoders.entity").EncodedEntity
    drawn = document(pack)
    name = drawn.entities[0].name
    good, lost = entity(word=name), entity(word="robot", name="hero")
    lines = checked([good, lost], drawn, f"a {name} meets robots")
    assert lines[0] == f"'{name}' is in the prompt: “a [{name}] meets robots”"
    assert lines[1].startswith("warning: 'robot' (hero) is in the prompt only as a plural")
    assert lines[2] == (
        "warning: no layer of the paths is called 'hero' "
        f"(there are: {', '.join(e.name for e in drawn.entities)}), so it has no path"
    )
    says = "has paths but no entity with pictures"
    alone = [f"warning: the layer '{e.name}' {says}" for e in drawn.entities]
    alone = [line for line in alone if f"'{name}'" not in line]  # which has no path of its own
    assert checked([good], drawn, None) == alone
    assert checked([entity(word="owl")], drawn, None)[1:] == alone
    assert checked([], drawn, "nobody") == []


def test_loading_from_the_folders(
    host: Any, pack: builders.Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import folder_paths

    from tora2.checkpoints import save_adapter
    from tora2.models.adapter import Tora2Adapter, Tora2Config

    files = pack("nodes.host.files")
    for folder, extensions in (
        (files.ADAPTERS, {".safetensors"}),
        (files.TRANSFORMERS, {".safetensors"}),
    ):
        (tmp_path / folder).mkdir()
        entry = ([str(tmp_path / folder)], extensions)
        monkeypatch.setitem(folder_paths.folder_names_and_paths, folder, entry)
        monkeypatch.delitem(folder_paths.filename_list_cache, folder, raising=False)
    reference = builders.transformer()
    reference.save_pretrained(tmp_path / files.TRANSFORMERS / "base", max_shard_size="1MB")
    mine = tmp_path / files.ADAPTERS / "mine.safetensors"
    save_adapter(Tora2Adapter(Tora2Config.preset("tiny")), mine, {"tora2_flow_sigma": "6.0"})
    assert files.choices(files.TRANSFORMERS) == ["base"]
    (model,) = (
        host.NODE_CLASS_MAPPINGS["Tora2LoadModel"].execute("base", "default", "as trained").result
    )
    assert model.model.diffusion_model.dim == 128 and model.cached_patcher_init is not None
    loaded, contents = (
        host.NODE_CLASS_MAPPINGS["Tora2LoadAdapter"].execute("mine.safetensors").result
    )
    assert contents.startswith("mine.safetensors: motion, appearance, binding; 6 blocks of 192")
    assert loaded.adapter.dtype == torch.float32 and loaded.flow_sigma == 6.0
    with pytest.raises(ValueError, match="'gone' is not there. Searched are .*CogVideoX-5b"):
        files.locate(files.TRANSFORMERS, "gone", (pack("tora2.checkpoints.sources").BASE,))


def test_a_flow_video_takes_the_place_of_drawn_paths(host: Any, pack: builders.Pack) -> None:
    class Vae:
        first_stage_model = None

        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            self.seen = frames
            return torch.ones(1, 16, 5, 12, 12)

    adapters, types = pack("nodes.host.adapters"), pack("nodes.io_types")
    loaded = types.LoadedAdapter(adapters.manage(builders.adapter(pack)), "small")
    node, vae = host.NODE_CLASS_MAPPINGS["Tora2Bind"], Vae()
    video = torch.rand(17, 96, 96, 4)
    bound, _, flow = node.execute(loaded, vae=vae, flow_video=video).result
    assert torch.equal(vae.seen, video[..., :3]) and torch.equal(flow, vae.seen)
    assert bound.size == (96, 96, 17) and bound.conditioning.frames == 5
    with pytest.raises(ValueError, match="flow_video is 96x96 with 16 frames, expected 4k"):
        node.execute(loaded, vae=vae, flow_video=video[1:])
    with pytest.raises(ValueError, match="give both one size"):
        node.execute(loaded, document(pack, width=112), vae, flow_video=video)


def test_the_doctor_finds_what_is_there(
    host: Any, pack: builders.Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import folder_paths

    from tora2.checkpoints import save_adapter
    from tora2.models.adapter import Tora2Adapter, Tora2Config

    files = pack("nodes.host.files")
    for folder in files.USED:
        (tmp_path / folder).mkdir()
        entry = ([str(tmp_path / folder)], {".safetensors"})
        monkeypatch.setitem(folder_paths.folder_names_and_paths, folder, entry)
        monkeypatch.delitem(folder_paths.filename_list_cache, folder, raising=False)
    (tmp_path / files.ADAPTERS / "broken.safetensors").write_bytes(b"no")
    mine = tmp_path / files.ADAPTERS / "mine.safetensors"
    save_adapter(Tora2Adapter(Tora2Config.preset("tiny")), mine, {"tora2_flow_sigma": "6.0"})
    node = host.NODE_CLASS_MAPPINGS["Tora2Doctor"]
    (report,) = node.execute(sources=True).result
    for expected in (
        "corrected for CogVideoX-1.0: rotary positions, learned positions, sampling, video",
        "einops: ",
        f"Weights in {tmp_path / files.TRANSFORMERS}\n- none",
        "mine.safetensors (",
        "enables motion, appearance, binding",
        "broken.safetensors",
        "with the bundled model, in ComfyUI: ready",
        "Tora's motion parts:\n  ",
        "zai-org/CogVideoX-5b",
        "there is no GPU",
    ):
        assert expected in report, report
    assert "in the library" not in report
    (short,) = node.execute(sources=False).result
    assert "zai-org" not in short and "No Tora2 weights were ever published" in short
