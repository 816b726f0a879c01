"""What a model is trained on and what it makes, put into the log where it happens."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError
from genepool.integrations._measure import as_pictures

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.integrations._gated import GatedDataset
    from genepool.provenance import Registration, SignedOutputs
    from genepool.store import Workspace

__all__ = ["OutputFolder", "RegisteredPipeline", "TrainingRun"]

# IPTC Photo Metadata Standard 2025.1: what made the picture, in the words of its code list.
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)


class TrainingRun:
    """Registers a model when its training ends well; a context manager around any training loop.

    ``with TrainingRun(dataset, "painter-1"): …`` or `finish` at the end. An exception inside registers
    nothing: there is no model then.

    Args:
        dataset: What the model is trained on.
        model: Its name in the log.
        base: The registered model that it is fine-tuned from, or ``unknown``.
        config: Key and trust policy; None: the settings of the decision.

    Attributes:
        registration: What the log says of the model, after `finish`; ``generation`` is that of its outputs.
    """

    def __init__(
        self, dataset: GatedDataset, model: str, *, base: str | None = None, config: Config | None = None
    ) -> None:
        self.dataset, self.model, self.base = dataset, model, base
        self._config = config
        self.registration: Registration | None = None

    def finish(self) -> Registration:
        """Register the model: trained on exactly the approved images, by their root.

        Where images had been set aside, the approved rest is entered as a dataset of its own first, so that
        the model's generation follows from what it has seen and not from what was left out.

        Raises:
            UsageError: A name that cannot be used, a base model that is not registered, or the dataset was
                sent to another process.
            IntegrityError: A log does not verify.
        """
        from genepool import provenance

        if self.registration is not None:
            return self.registration
        approved = self.dataset.approved
        config = self._config or approved.config
        if approved.root != approved.decision.root:
            provenance.seal_subset(approved.workspace, approved.catalogue, approved.origins, config)
        self.registration = provenance.register_model(
            approved.workspace, self.model, [(approved.root, 1.0)], self.base, config
        )
        return self.registration

    def __enter__(self) -> TrainingRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()


class OutputFolder:
    """Keeps what a registered model makes: lossless files, marked as machine-made, registered in the log.

    A context manager: whatever was saved is registered at the end, also when something failed in between,
    because the pictures exist. Pixels are bound by digest, so that they are found again without metadata.

    Args:
        folder: Where the pictures go; made when missing. What is in it already is kept and registered too.
        model: The registered model.
        workspace: Where the log lies that knows the model: a folder or a `genepool.store.Workspace`.
        cohort: Name of this collection in the log; None: the folder's.
        c2pa: Sign every file with a C2PA manifest, by the model's own certificate, before it is registered.
        config: Key and trust policy.

    Attributes:
        registration: What the log says, after `register`.
        signed: What was signed, after `register` with ``c2pa``.

    Raises:
        UsageError: The model is not registered there.
    """

    def __init__(
        self,
        folder: str | Path,
        model: str,
        *,
        workspace: Workspace | str | Path,
        cohort: str | None = None,
        c2pa: bool = False,
        config: Config | None = None,
    ) -> None:
        from genepool import provenance, store
        from genepool.config import load

        self.folder = Path(folder).absolute()
        self.model, self.cohort, self.c2pa = model, cohort, c2pa
        self._config = config or load()
        self._place = workspace if isinstance(workspace, store.Workspace) else store.Workspace(workspace)
        known = provenance.open_trail(self._place, self._config).models
        if model not in known:
            raise UsageError(
                f"model {model!r}: expected a registered one, found {', '.join(sorted(known)) or 'none'}",
                hint=f"genepool register model {model} --trained-on COHORT",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = (re.fullmatch(r".*-(\d{6,})", path.stem) for path in self.folder.glob("*.png"))
        self._next = max((int(found[1]) for found in numbers if found), default=-1) + 1
        self.registration: Registration | None = None
        self.signed: SignedOutputs | None = None

    def add(self, images: Any) -> list[Path]:
        """Save pictures; see `as_pictures` for the forms.

        Returns:
            The files, in order.
        """
        from PIL import Image, PngImagePlugin

        stem = re.sub(r"[^\w.-]+", "_", self.cohort or self.model)
        files = []
        for picture in as_pictures(images):
            mark = PngImagePlugin.PngInfo()
            mark.add_itxt("XML:com.adobe.xmp", _XMP)
            target = self.folder / f"{stem}-{self._next:06}.png"
            Image.fromarray(picture).save(target, pnginfo=mark)
            self._next += 1
            files.append(target)
        return files

    def register(self) -> Registration:
        """Enter every picture of the folder into the log as this model's output.

        Raises:
            SourceError: There is no picture.
            IntegrityError: A log does not verify, or the certificate to sign with cannot be used.
        """
        from genepool import dataset, provenance, scan

        opened = dataset.open(self.folder, workspace=str(self._place.root))
        catalogue = scan.scan(opened, self._place, config=self._config)
        if self.c2pa:
            self.signed = provenance.sign_outputs(
                catalogue, self._place, model=self.model, config=self._config
            )
            catalogue = scan.scan(opened, self._place, config=self._config)  # the bytes are new ones
        self.registration = provenance.register_outputs(
            catalogue, self._place, model=self.model, cohort=self.cohort, config=self._config
        )
        return self.registration

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if any(self.folder.glob("*.png")):
            self.register()


class RegisteredPipeline:
    """A ``diffusers`` pipeline (or anything called like one) whose pictures all go into an `OutputFolder`.

    Called like the pipeline, it returns what the pipeline returns; every other attribute is the pipeline's.

    Args:
        pipeline: Returns an object with ``images``, or a tuple that begins with them.
        outputs: Where they go.
    """

    def __init__(self, pipeline: Any, outputs: OutputFolder) -> None:
        self._pipeline = pipeline
        self._outputs = outputs

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run the pipeline and keep what it made.

        Raises:
            MeasureError: It made no pictures (latents, for example): nothing leaves unregistered.
        """
        result = self._pipeline(*args, **options)
        self._outputs.add(result.images if hasattr(result, "images") else result[0])
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)
