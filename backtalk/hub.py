"""Models of the Hugging Face hub: fetched by their id, and versions published there as plain directories."""

from pathlib import Path

from backtalk.weights import WeightsError

FILES = ["*.json", "*.safetensors", "*.jinja", "merges.txt", "README.md"]
"""What is fetched, and what is sent: never code, never pickles."""


def fetch(repo: str) -> Path:
    """Directory of a model of the hub, from its cache where that has it.

    Raises:
        WeightsError: it cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=FILES))
    except Exception as error:
        raise WeightsError(
            f"model {repo!r} is not `starter`, a directory, or a Hugging Face id that can be fetched ({error})"
        ) from error


def push(directory: Path, repo: str, *, private: bool = True) -> str:
    """Send a version to the hub, as one commit; the repository is made unless it is there.

    Args:
        repo: `owner/name`; the token is the one that `hf auth login` has kept, or `HF_TOKEN`.
        private: of a repository that is made.

    Returns:
        The commit's address.

    Raises:
        WeightsError: the hub does not take it.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=directory, allow_patterns=FILES, commit_message=f"Version {directory.name}"
        )
    except Exception as error:
        raise WeightsError(f"the hub did not take {directory.name} as {repo!r} ({error})") from error
    return str(commit.commit_url)
