"""The commands. Each imports what it needs when it runs: ``tule --help`` and ``tule status`` answer at once."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tule.kernel.settings import Settings

if TYPE_CHECKING:
    from tule.wire.intercept.environment import Target

program = typer.Typer(
    name="tule",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HomeOption = Annotated[Path | None, typer.Option("--home", help="Data directory (TULE_HOME, ~/.tule).")]
ProjectOption = Annotated[str | None, typer.Option("--project", help="Project id (TULE_PROJECT).")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Refuse connections that are not for Google's APIs.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        import tule

        print(f"tule {tule.__version__}")
        raise typer.Exit


@program.callback()
def tule_program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Google Cloud's machine-learning stack on machines you own."""


class _Usage(typer.Exit):
    """A command that cannot be run as it was written: a line on standard error and exit code 2."""

    def __init__(self, message: str) -> None:
        print(f"tule: {message}", file=sys.stderr)
        super().__init__(2)


def _settings(home: Path | None, **given: Any) -> Settings:
    return Settings.read(home=home, **given)


def _settings_help() -> str:
    """The table of settings, a paragraph each."""
    lines = [f"TULE_{each.name.upper()} = {each.default}: {each.metadata['help']}" for each in fields(Settings)]
    # Brackets are markup to what prints the help.
    lines = [line.replace("[", "\\[") for line in lines]
    return "\n\n".join(["Settings, from the environment:", *lines])


@program.command(epilog=_settings_help())
def up(
    home: HomeOption = None,
    project: ProjectOption = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the plain and proxy listener; 0: as last time, or a free one.")
    ] = None,
    tls_port: Annotated[
        int | None, typer.Option(help="Port of the TLS listener; 0: as last time, or a free one.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when ready; log to HOME/logs/server.log.")
    ] = False,
    offline: OfflineOption = False,
) -> None:
    """Start the server of a data directory."""
    settings = _settings(home, project=project, port=port, tls_port=tls_port, offline=offline or None)
    if detach:
        _detach(settings, {"project": project, "port": port, "tls_port": tls_port})
        return
    from tule.cli.serving import serve

    serve(settings)


def _detach(settings: Settings, given: dict[str, Any]) -> None:
    """Start a server that goes on by itself; one that runs already with the options given is what was wanted."""
    from tule.cli import running
    from tule.cli.serving import ready_line
    from tule.kernel.errors import FailedPrecondition

    runtime = running.find_runtime(settings)
    if runtime is None:
        print(ready_line(running.start_server(settings).runtime, settings))
        return
    other = [
        f"{name.replace('_', '-')} {getattr(runtime, name)}, not {value}"
        for name, value in given.items()
        if value and value != getattr(runtime, name)
    ]
    if runtime.temporary:
        other.append("started for a command, with which it ends")
    if other:
        raise FailedPrecondition(
            f"The server on {settings.home} runs already, otherwise than asked for",
            given="; ".join(other),
            do="stop it with `tule down` first",
        )
    print(ready_line(runtime, settings).replace("Tule is ready", "Tule runs already", 1))


@program.command()
def down(home: HomeOption = None) -> None:
    """Stop the server of a data directory."""
    from tule.cli import running

    settings = _settings(home)
    holder = running.find_holder(settings)
    if holder is None:
        print(f"No server is running on {settings.home}")
        return
    running.stop_server(holder, settings)
    print(f"Stopped the server on {settings.home}")


@program.command()
def status(
    home: HomeOption = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Say whether a server is ready: exit code 0 when it is, 3 when not."""
    from tule.cli import running

    settings = _settings(home)
    runtime = running.find_runtime(settings)
    if as_json:
        from dataclasses import asdict

        body = {"ready": runtime is not None, "home": str(settings.home), **(asdict(runtime) if runtime else {})}
        print(json.dumps(body))
    elif runtime is not None:
        lines = {
            "API": runtime.url,
            "TLS": f"https://{runtime.host}:{runtime.tls_port}",
            "project": runtime.project,
            "data": settings.home,
            "log": running.log_path(settings),
            "process": f"{runtime.pid}, since {runtime.started}",
        }
        if runtime.temporary:
            lines["ends"] = "with the command that it was started for"
        print("Tule is ready")
        for name, value in lines.items():
            print(f"  {name:8} {value}")
    elif (holder := running.find_holder(settings)) is not None:
        print(f"The server on {settings.home} (process {holder}) is starting or stopping")
    else:
        print(f"No server is running on {settings.home}. Next: tule up --detach")
    raise typer.Exit(0 if runtime else 3)


@program.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def exec(
    context: typer.Context,
    home: HomeOption = None,
    project: ProjectOption = None,
    offline: OfflineOption = False,
) -> None:
    """Run a command whose Google clients land here: tule exec -- python train.py"""
    if not context.args:
        raise _Usage("exec needs a command. Next: tule exec -- python train.py")
    from tule.cli.foreground import run
    from tule.wire.intercept.environment import environment

    with _server(_settings(home, project=project), project) as target:
        code = run(context.args, environment(target, os.environ, offline=offline))
    raise typer.Exit(code)


@contextmanager
def _server(settings: Settings, project: str | None) -> Iterator[Target]:
    """The running server of the data directory, or one that lives as long as this command."""
    from tule.cli.leases import Lease
    from tule.cli.running import target_of

    with Lease(settings) as lease:
        yield target_of(settings, lease.runtime, project)


@program.command()
def env(
    home: HomeOption = None,
    project: ProjectOption = None,
    offline: OfflineOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of shell exports.")] = False,
) -> None:
    """Print the variables under which Google's clients land here: eval "$(tule env)" """
    from tule.cli import running
    from tule.wire.intercept.environment import UNSET, variables

    settings = _settings(home, project=project)
    target = running.target_of(settings, running.need_runtime(settings), project)
    made = variables(target, os.environ, offline=offline)
    if as_json:
        print(json.dumps(made, indent=2))
        return
    print("unset " + " ".join(UNSET))
    for name, value in made.items():
        print(f"export {name}={shlex.quote(value)}")


@program.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="GoogleSQL; without it, a shell.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the statements of a file.")] = None,
    output: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
    rows: Annotated[
        int | None,
        typer.Option("--rows", min=0, help="The most rows to write; 0: all. Without it 100 of a table, all of others."),
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = None,
) -> None:
    """Run GoogleSQL, or open a shell with history and progress."""
    from tule.cli.sql import FORMATS, Client, Runs

    if output not in FORMATS:
        raise _Usage(f"--format must be one of {', '.join(FORMATS)}; given: {output}")
    text = _sql_text(query, file)
    settings = _settings(home, project=project)
    with _server(settings, project) as target, Client(target) as client:
        runs = Runs(client, output, rows)
        if text is None:
            from tule.cli.sql.shell import Shell

            Shell(runs, settings.home / "sql_history").run()
            return
        code = runs.run(text)
    raise typer.Exit(code)


def _sql_text(query: str | None, file: Path | None) -> str | None:
    """What is to be run; None for a shell, which needs somebody at the keyboard."""
    from tule.cli.sql import scanner

    if query is not None and file is not None:
        raise _Usage("sql takes a query or --file; given: both")
    if query is None and file is None and sys.stdin.isatty():
        return None
    try:
        text = query if query is not None else sys.stdin.read() if file is None else file.read_text()
    except OSError as error:
        raise _Usage(f"--file must be a file to read; given: {file} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _Usage(f"The SQL must be text in UTF-8; given: {file or 'standard input'}") from None
    if not scanner.statements(text):
        raise _Usage("sql needs a statement; given: none")
    return text


@program.command()
def lineage(
    name: Annotated[
        str, typer.Argument(help="An endpoint, MODEL@VERSION, PROJECT.DATASET.TABLE, gs://... or an artifact.")
    ],
    home: HomeOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell where a thing came from and what it led to, as a tree."""
    from tule.cli import running
    from tule.cli.lineage import lineage as told

    settings = _settings(home, project=project)
    for line in told(running.target_of(settings, running.need_runtime(settings), project), name):
        print(line)


@program.command()
def tensorboard(
    name: Annotated[str, typer.Argument(help="A Vertex AI tensorboard: its name, its id or its display name.")],
    to: Annotated[Path | None, typer.Option("--to", help="Write the event files here, and end.")] = None,
    port: Annotated[int, typer.Option(help="Port of TensorBoard's page.")] = 6006,
    home: HomeOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a Vertex AI tensorboard in the stock TensorBoard, or write its event files."""
    import tempfile

    from tule.cli import running
    from tule.cli.foreground import run
    from tule.cli.tensorboard import export

    settings = _settings(home, project=project)
    target = running.target_of(settings, running.need_runtime(settings), project)
    if to is not None:
        print(f"Wrote {export(target, name, to)} points below {to}")
        return
    with tempfile.TemporaryDirectory(prefix="tule-tensorboard-") as folder:
        export(target, name, Path(folder))
        arguments = ["--logdir", folder, "--port", str(port), "--host", "127.0.0.1"]
        code = run([sys.executable, "-m", "tensorboard.main", *arguments], dict(os.environ))
    raise typer.Exit(code)


@program.command()
def logs(
    job: Annotated[str | None, typer.Argument(help="Number or name of a training job, pipeline or search.")] = None,
    home: HomeOption = None,
    project: ProjectOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the server's last lines.")] = 100,
) -> None:
    """Print the server's log, or what a training job writes: tule logs -f JOB"""
    from tule.cli.running import log_path
    from tule.cli.tail import tail

    if job is not None:
        from tule.cli.job_logs import job_lines

        with _server(_settings(home, project=project), project) as target:
            url = f"http://127.0.0.1:{target.port}"
            for line in job_lines(url, target.token, target.project, job, follow=follow):
                print(line, flush=follow)
        return

    path = log_path(_settings(home))
    if not path.exists():
        print(f"tule: there is no log yet at {path}. Next: tule up --detach", file=sys.stderr)
        raise typer.Exit(1)
    for line in tail(path, lines, follow=follow):
        print(line, end="", flush=follow)


@program.command()
def demo(
    home: HomeOption = None,
    predictions: Annotated[int, typer.Option("--predictions", min=100, help="How many to ask for online.")] = 3000,
) -> None:
    """From a table to a served model on real flights, by Google's own clients, in a data directory of its own."""
    import tempfile

    from tule.cli.foreground import run
    from tule.wire.intercept.environment import environment

    with tempfile.TemporaryDirectory(prefix="tule-demo-") as temporary:
        settings = _settings(home or Path(temporary))
        with _server(settings, None) as target:
            code = run(
                [sys.executable, "-m", "tule.cli.demo_flights", str(predictions)], environment(target, os.environ)
            )
    raise typer.Exit(code)
