"""Pages that are made: of methods, of the public packages, of notebooks."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import medrestore
from medrestore.methods import FRAMES, GENERATION, IMAGES, METHODS, SCANS

ROW = re.compile(r"^\| `(?P<name>\w+)\([^)]*\)` \| (?P<needs>.*?) \| (?P<step>.*) \| (?P<noise>[^|]*) \|$", re.MULTILINE)
SIGNS = (  # of formulas as methods.md writes them; letters before what stands at them
    (r"\\\|", "|"), (r"<-", "←"), (r"sqrt\(", "√("), (r"grad_x", "∇ₓ"), (r"\bgrad\b", "∇"), (r"sigma_y", "σᵧ"),
    (r"\bsigma\b", "σ"), (r"\bgamma\b", "γ"), (r"\blambda\b", "λ"), (r"\beta\b", "η"), (r"\bzeta\b", "ζ"),
    (r"\bnu\b", "ν"), (r"\btau\b", "τ"), (r"\bmu\b", "μ"), (r"\beps\b", "ε"),
    (r"\bx0\b", "x₀"), (r"\^\(1/2\)", "^½"), (r"\^2\b", "²"), (r"\^-1\b", "⁻¹"),
    (r"A\^\+", "A⁺"), (r"A\^T", "Aᵀ"), (r"A\^H", "Aᴴ"),
)
USES = {SCANS: "`medrestore recon`", FRAMES: "`medrestore inpaint`", IMAGES: "`medrestore restore`",
        GENERATION: "`medrestore generate`"}


def formula(step: str) -> str:
    """The step of a method as methods.md states it, with the signs of formulas."""
    for pattern, sign in SIGNS:
        step = re.sub(pattern, sign, step)
    return re.sub(r"\]\((\w+\.md)", r"](../docs/\1", step)


def method_pages(table: Path) -> dict[str, str]:
    """A page for each method by its place: the equation of docs/methods.md, the docstring, the commands that offer it."""
    rows = {found["name"]: found for found in ROW.finditer(table.read_text(encoding="utf-8"))}
    made = {}
    for name, kind in METHODS.items():
        row = rows[kind.__name__]
        uses = [text for use, text in USES.items() if METHODS.suits(name, use)]
        place = f"{kind.__module__}.{kind.__name__}"
        made[f"methods/{name.replace('+', '-plus')}.md"] = "\n".join([
            f"# {kind.__name__}", "", _first(kind), "",
            f"In commands and studies `{name}`, offered by {', '.join(uses) or 'Python alone'}. "
            f"It needs an operator that is: {row['needs']}.", "",
            f"**One step, from σ to s'.** {formula(row['step'])}", "", f"Fresh noise: {formula(row['noise'])}.", "",
            "What the letters mean, and what all methods share, is in [methods](../docs/methods.md); how each compares "
            "with posteriors that are known in [posteriors](../docs/posteriors.md).", "",
            "```{eval-rst}", f".. autoclass:: {place}", "   :no-members:", "```", ""])
    listed = "\n".join(f"- [{kind.__name__}]({name.replace('+', '-plus')}.md): {_first(kind)}"
                       for name, kind in METHODS.items())
    tree = "\n".join(name.replace("+", "-plus") for name in METHODS)
    made["methods/index.md"] = f"# Each method\n\n{listed}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    return made


def _first(kind: object) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    return text.replace("*", r"\*")


def public_packages() -> dict[str, ModuleType]:
    """The public packages of `medrestore` by name."""
    return {name: module for name in medrestore.__all__
            if inspect.ismodule(module := getattr(medrestore, name))}


def api_pages() -> dict[str, str]:
    """A page for each public package, and one for the names of `medrestore` itself that leads to them."""
    packages = public_packages()
    names = [name for name in medrestore.__all__ if name not in packages]
    made = {f"api/{name}.md": f"# medrestore.{name}\n\n```{{eval-rst}}\n{_members(module)}\n```\n"
            for name, module in packages.items()}
    described = "\n".join(_documented(name, packages) for name in names)
    made["api/top.md"] = "# medrestore\n\nThe names of the package itself; most are of a package of it.\n\n" \
                         f"```{{eval-rst}}\n{described}\n```\n"
    tree = "\n".join(["top", *packages])
    listed = "\n".join(f"- [medrestore.{name}]({name}.md): {_first(module)}" for name, module in packages.items())
    made["api/index.md"] = f"# Python reference\n\n- [medrestore](top.md): the names of the package itself\n{listed}\n\n" \
                           f"```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    return made


def _members(module: ModuleType) -> str:
    """The public names of a package, classes and functions, where they are not on a page of their own."""
    lines = [f".. automodule:: {module.__name__}", "   :no-members:", ""]
    listed = getattr(module, "__all__", None) or [name for name, value in vars(module).items() if not name.startswith("_")
                                                  and getattr(value, "__module__", None) == module.__name__]
    for name in listed:
        value = getattr(module, name)
        if inspect.ismodule(value) or (inspect.isclass(value) and value in METHODS.values()):
            continue
        place = f"{module.__name__}.{name}"
        if inspect.isclass(value):
            lines += [f".. autoclass:: {place}", "   :members:", ""]
        elif inspect.isroutine(value):
            lines += [f".. autofunction:: {place}", ""]
    return "\n".join(lines)


def _documented(name: str, packages: dict[str, ModuleType]) -> str:
    """A public name: a link to where it is documented, or its own description."""
    value = getattr(medrestore, name)
    if inspect.isclass(value) and value in METHODS.values():
        return f"- :py:class:`medrestore.{name} <{value.__module__}.{value.__name__}>`"
    for package, module in packages.items():
        if name in (getattr(module, "__all__", ()) or ()) and getattr(module, name, None) is value:
            return f"- :py:obj:`medrestore.{name} <medrestore.{package}.{name}>`"
    kind = "autoclass" if inspect.isclass(value) else "autofunction"
    return f"\n.. {kind}:: medrestore.{name}\n" + ("   :members:\n" if inspect.isclass(value) else "")


def notebook_page(path: Path) -> str:
    """A notebook in jupytext's percent format as Markdown."""
    parts = []
    for cell in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            text = "\n".join(re.sub("^# ?", "", line) for line in body.strip("\n").splitlines())
            parts.append(re.sub("^# ", "## ", text, flags=re.MULTILINE) if parts else text)  # a page has one title
        elif body.strip():
            parts.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(parts) + f"\n\nThe notebook is `notebooks/{path.stem}.ipynb` in the repository.\n"
