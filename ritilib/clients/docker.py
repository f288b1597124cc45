"""Docker, as the local stack and the tests use it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from ritilib.errors import Conflict, Denied, ServerError, Unreachable


class Docker:
    """A Docker daemon at `host` (such as unix:///var/run/docker.sock).

    Every method raises Unreachable where no daemon answers, and ServerError with the daemon's own words
    otherwise.
    """

    def __init__(self, host: str, timeout_s: int = 120) -> None:
        self.host = host
        with _explained("connect"):
            self._client = docker.DockerClient(base_url=host, timeout=timeout_s)

    def read_label(self, image: str, label: str) -> str | None:
        """The label of an image; None where the image or the label is not there."""
        with _explained(f"look at image {image}"):
            try:
                return self._client.images.get(image).labels.get(label)
            except ImageNotFound:
                return None

    def import_image(self, archive: Path, name: str, changes: Sequence[str]) -> None:
        """Make an image of one layer from a tar; name is "riti/pbx:dev", changes are Dockerfile lines."""
        repository, tag = name.rsplit(":", 1)
        with _explained(f"import image {name}"):
            answer = self._client.api.import_image(
                str(archive), repository=repository, tag=tag, changes=list(changes)
            )
        if '"error"' in answer:
            raise ServerError.because(f"Docker did not take image {name}", "see Docker's log")

    def measure_image(self, image: str) -> int:
        """Bytes of its unpacked layers."""
        with _explained(f"look at image {image}"):
            return int(self._client.images.get(image).attrs["Size"])

    def run(self, image: str, name: str, command: Sequence[str] | None = None, **options: Any) -> Container:
        """Start a container in the background; options are the Docker SDK's own."""
        with _explained(f"start container {name}"):
            return self._client.containers.run(
                image, list(command) if command else None, name=name, detach=True, **options
            )

    def execute(self, container: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run argv in a running container: its exit code, and what it wrote to both outputs."""
        with _explained(f"run {argv[0]} in {container}"):
            answer: Any = self._client.containers.get(container).exec_run(list(argv))
        return int(answer.exit_code), bytes(answer.output).decode("utf-8", "replace")

    def wait(self, container: str, timeout_s: int) -> int:
        """The exit code of a container that ends by itself."""
        with _explained(f"wait for container {container}"):
            return int(self._client.containers.get(container).wait(timeout=timeout_s)["StatusCode"])

    def read_log(self, container: str, errors: bool = True) -> str:
        """Everything that the container has written so far; without errors, what it wrote to standard output alone."""
        with _explained(f"read the log of {container}"):
            return bytes(self._client.containers.get(container).logs(stderr=errors)).decode(
                "utf-8", "replace"
            )

    def inspect(self, container: str) -> dict[str, Any]:
        """What Docker knows of a container; ServerError where there is none."""
        with _explained(f"look at container {container}"):
            return dict(self._client.containers.get(container).attrs)

    def list_containers(self, label: str) -> tuple[str, ...]:
        """Names of all containers, ended ones included, that carry the label ("key" or "key=value")."""
        with _explained("list containers"):
            return tuple(
                str(one.name) for one in self._client.containers.list(all=True, filters={"label": label})
            )

    def connect(self, network: str, container: str, address: str) -> None:
        """Put a container on one network more, which must have been made with its subnet."""
        with _explained(f"connect {container} to network {network}"):
            self._client.networks.get(network).connect(container, ipv4_address=address)

    def kill(self, container: str) -> None:
        """SIGKILL; the container stays, and can be started again."""
        with _explained(f"kill container {container}"):
            self._client.containers.get(container).kill()

    def start(self, container: str) -> None:
        """Start an ended container again."""
        with _explained(f"start container {container}"):
            self._client.containers.get(container).start()

    def remove(self, container: str) -> None:
        """End and remove a container; nothing happens where there is none."""
        with _explained(f"remove container {container}"), contextlib.suppress(NotFound):
            self._client.containers.get(container).remove(force=True, v=True)

    def create_network(
        self, name: str, subnet: str | None, labels: Mapping[str, str], gateway: str | None = None
    ) -> str:
        """A bridge network of its own; returns its id. subnet None lets Docker choose one.

        gateway is the host's own address in it, None for the first of the subnet.
        """
        pools = [IPAMPool(subnet=subnet, gateway=gateway)] if subnet else []
        with _explained(f"create network {name}"):
            network = self._client.networks.create(
                name,
                driver="bridge",
                labels=dict(labels),
                ipam=IPAMConfig(pool_configs=pools),
                check_duplicate=True,
            )
        return str(network.id)

    def list_networks(self, label: str) -> tuple[str, ...]:
        """Names of the networks that carry the label."""
        with _explained("list networks"):
            return tuple(str(one.name) for one in self._client.networks.list(filters={"label": label}))

    def find_subnet(self, network: str) -> str:
        """The subnet of a bridge network, as it was given or as Docker chose it."""
        with _explained(f"look at network {network}"):
            return str(self._client.networks.get(network).attrs["IPAM"]["Config"][0]["Subnet"])

    def remove_network(self, name: str) -> None:
        """Remove a network; nothing happens where there is none."""
        with _explained(f"remove network {name}"), contextlib.suppress(NotFound):
            self._client.networks.get(name).remove()


@contextlib.contextmanager
def _explained(asked: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except NotFound as error:
        raise ServerError.because(
            f"Docker: {asked}: {error.explanation}", "see whether it was removed"
        ) from error
    except APIError as error:
        kinds = {403: Denied, 409: Conflict}
        kind = kinds.get(error.response.status_code if error.response is not None else 0, ServerError)
        raise kind.because(f"Docker: {asked}: {error.explanation or error}", "see Docker's log") from error
    except (DockerException, requests.RequestException, OSError) as error:
        mend = "see whether the daemon runs (`docker info`), or start one with `riti dev up`"
        raise Unreachable.because(f"Docker does not answer: {asked}", mend) from error
