"""Model files in the host's folders: its own, those of extra_model_paths.yaml, and none at all."""

import asyncio
from pathlib import Path
from typing import Any

import builders
import pytest


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Any) -> Path:
    """The host with a models folder of its own, as it is before custom nodes are loaded."""
    import folder_paths

    models = tmp_path / "models"
    kept = {
        name: ([str(models / name)], extensions)
        for name, (_, extensions) in folder_paths.folder_names_and_paths.items()
        if name != "tora2"
    }
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", kept)
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    monkeypatch.setattr(folder_paths, "models_dir", str(models))
    for name in ("diffusion_models", "tora2"):
        (models / name).mkdir(parents=True)
    return tmp_path


def read_yaml(folders: Path, default: bool = False) -> None:
    """Hand the host a file as its users write it."""
    from utils.extra_config import load_extra_path_config

    file = folders / "extra_model_paths.yaml"
    file.write_text(
        "other_disk:\n"
        "    base_path: disk\n"
        f"    is_default: {str(default).lower()}\n"
        "    diffusion_models: transformers\n"
        "    tora2: |\n"
        "        adapters\n"
        "        more/adapters\n"
    )
    load_extra_path_config(str(file))


def fill(folders: Path) -> None:
    """A transformer and two adapters in the extra folders, and an adapter in the host's own."""
    from tora2.checkpoints import save_adapter
    from tora2.models.adapter import Tora2Adapter, Tora2Config

    disk = folders / "disk"
    builders.transformer().save_pretrained(disk / "transformers" / "far", max_shard_size="1MB")
    for place in (disk / "adapters", disk / "more" / "adapters", folders / "models" / "tora2"):
        place.mkdir(parents=True, exist_ok=True)
    adapter = Tora2Adapter(Tora2Config.preset("tiny", layers=2))
    save_adapter(adapter, disk / "adapters" / "far.safetensors")
    save_adapter(adapter, disk / "more" / "adapters" / "farther.safetensors")
    save_adapter(adapter, folders / "models" / "tora2" / "near.safetensors")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("default", [True, False])
def test_extra_model_paths(
    host: Any, pack: builders.Pack, folders: Path, before: bool, default: bool
) -> None:
    files = pack("nodes.host.files")
    fill(folders)
    if before:
        read_yaml(folders, default)
    files.register_folders()
    if not before:
        read_yaml(folders, default)
    files.register_folders()  # once more changes nothing

    import folder_paths

    assert len(folder_paths.get_folder_paths("tora2")) == 3
    assert files.choices(files.TRANSFORMERS) == ["far"]
    names = ["far.safetensors", "farther.safetensors", "near.safetensors"]
    assert sorted(files.choices(files.ADAPTERS)) == names
    disk = folders / "disk"
    assert Path(files.locate(files.TRANSFORMERS, "far", ())) == disk / "transformers" / "far"
    found = Path(files.locate(files.ADAPTERS, "farther.safetensors", ()))
    assert found == disk / "more" / "adapters" / "farther.safetensors"

    node = host.NODE_CLASS_MAPPINGS
    schema = node["Tora2LoadModel"].define_schema()
    assert schema.inputs[0].options == ["far"]
    assert node["Tora2LoadModel"].validate_inputs(model="far") is True
    assert node["Tora2LoadAdapter"].validate_inputs(adapter="far.safetensors") is True
    (model,) = node["Tora2LoadModel"].execute("far", "default", "as trained").result
    assert model.model.diffusion_model.dim == 128
    loaded, _ = node["Tora2LoadAdapter"].execute("far.safetensors").result
    assert loaded.adapter.config.layers == 2

    (report,) = node["Tora2Doctor"].execute(sources=False).result
    for line in (
        f"Weights in {disk / 'transformers'}\n- far",
        f"Weights in {disk / 'adapters'}\n- far.safetensors",
        f"Weights in {disk / 'more' / 'adapters'}\n- farther.safetensors",
        f"Weights in {folders / 'models' / 'tora2'}\n- near.safetensors",
    ):
        assert line in report, report


def test_the_first_of_two_folders_counts_where_both_have_a_name(
    pack: builders.Pack, folders: Path
) -> None:
    files = pack("nodes.host.files")
    fill(folders)
    near = folders / "models" / "tora2" / "near.safetensors"
    (folders / "disk" / "adapters" / "near.safetensors").write_bytes(near.read_bytes())
    files.register_folders()
    read_yaml(folders, default=False)
    assert files.locate(files.ADAPTERS, "near.safetensors", ()) == str(near)
    read_yaml(folders, default=True)
    assert "disk" in files.locate(files.ADAPTERS, "near.safetensors", ())


def refused(node: str, **inputs: Any) -> str:
    """What the host itself says of a prompt with this one node, for the file input."""
    import execution

    prompt = {"1": {"class_type": node, "inputs": inputs}}
    good, errors, _ = asyncio.run(execution.validate_inputs("p", prompt, "1", {}))
    assert not good
    name = next(iter(inputs))
    (error,) = [e for e in errors if e["extra_info"].get("input_name") == name]
    return error["details"]


MISSING = [
    ("Tora2LoadModel", "model", "diffusion_models", ("zai-org/CogVideoX-5b", "xiaoche/Tora")),
    ("Tora2LoadAdapter", "adapter", "tora2", ("Kijai/CogVideoX-5b-Tora", "xiaoche/Tora")),
]


@pytest.mark.parametrize(("node", "name", "folder", "ids"), MISSING)
def test_a_missing_file_says_where_it_is_searched_and_published(
    host: Any, pack: builders.Pack, folders: Path, node: str, name: str, folder: str, ids: Any
) -> None:
    files = pack("nodes.host.files")
    files.register_folders()
    read_yaml(folders)
    option = host.NODE_CLASS_MAPPINGS[node].define_schema().inputs[0].options
    assert option == ["no file there yet"]  # so that an empty folder sends something to answer
    extra = folders / "disk" / ("transformers" if folder != "tora2" else "adapters")
    for value in (option[0], "gone.safetensors", "../../etc/passwd"):
        said = refused(node, **{name: value})
        assert f"{name} is {value!r}, expected a file, but there is none in its folder" in said
        for words in (str(folders / "models" / folder), str(extra), "CogVideoX License", *ids):
            assert words in said
        assert " GB" in said and "Searched are " in said
    fill(folders)
    said = refused(node, **{name: "gone.safetensors"})
    assert "expected one of " in said and "Searched are " in said and ids[0] in said
    assert "no file there yet" not in said
    assert refused(node, **{name: option[0]}).startswith(f"{name} - {node}: {name} is 'no file")


def test_an_adapter_that_is_missing_says_that_none_is_published(
    host: Any, pack: builders.Pack, folders: Path
) -> None:
    pack("nodes.host.files").register_folders()
    assert "No Tora2 weights were ever published" in refused("Tora2LoadAdapter", adapter="x")
    with pytest.raises(ValueError, match="'x' is not there. Searched are .*No Tora2 weights"):
        host.NODE_CLASS_MAPPINGS["Tora2LoadAdapter"].execute("x")


def test_the_sentence_is_said_once(host: Any, pack: builders.Pack, folders: Path) -> None:
    import execution

    pack("nodes.host.files").register_folders()
    inputs = {"model": "x", "weight_dtype": "default", "learned_position": "as trained"}
    prompt = {"1": {"class_type": "Tora2LoadModel", "inputs": inputs}}
    _, errors, _ = asyncio.run(execution.validate_inputs("p", prompt, "1", {}))
    assert len(errors) == 1


def test_what_the_host_has_loaded_counts_as_free(
    pack: builders.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfy import model_management

    class Loaded:
        def __init__(self, device: Any, model: object = 5) -> None:
            self.device, self.model = device, model

        def model_loaded_memory(self) -> int:
            return 0 + self.model  # None, of a model that is gone, cannot be asked

    system = pack("nodes.host.system")
    chosen = model_management.get_torch_device()
    monkeypatch.setattr(model_management, "get_free_memory", lambda device: 100)
    loaded = [Loaded(chosen), Loaded("x"), Loaded(chosen, None)]
    monkeypatch.setattr(model_management, "current_loaded_models", loaded)
    assert system.device().free == 105
