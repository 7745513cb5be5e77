"""The command line `fensi`: what each command takes; what each does stands in app.commands."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app import account_commands, commands, knowledge, logs, staff_commands
from app.embedded import EmbeddedError
from app.settings import SettingsError, demo_settings, load
from kit.seal import UnsealError
from scrm.errors import DomainError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(prog="fensi", description="Fensi 粉丝: the SCRM that brands run on WeChat")
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = sub.add_parser("serve", help="answer callbacks over HTTP")
    serve.add_argument("--workers", type=_count, default=1, help="processes that share the port (1)")
    serve.add_argument("--port", type=_port, help="instead of FENSI_PORT")
    serve.add_argument("--host", help="instead of FENSI_HOST")
    serve.add_argument("--shared-port", action="store_true", help=argparse.SUPPRESS)
    serve.set_defaults(run=commands.serve)

    worker = sub.add_parser("worker", help="deliver the outbox and run jobs and schedules")
    worker.set_defaults(run=commands.worker)

    migrate = sub.add_parser("migrate", help="bring the database to the present schema")
    migrate.set_defaults(run=commands.migrate)

    migration = sub.add_parser("migration", help="write the next migration from the models, for developers")
    migration.add_argument("name", help="what it changes, such as add_member_birthday")
    migration.set_defaults(run=commands.migration)

    demo = sub.add_parser("demo", help="a brand with a phone to try it: everything on this machine")
    demo.add_argument("--no-wait", action="store_true", help="prepare the data and end")
    demo.add_argument(
        "inside", nargs=argparse.REMAINDER, metavar="COMMAND", help="instead, run this at the demo: fensi demo doctor"
    )
    demo.set_defaults(run=commands.demo)

    doctor = sub.add_parser("doctor", help="say what is missing, wrong or unreachable")
    doctor.set_defaults(run=commands.doctor)

    routes = sub.add_parser("routes", help="list the HTTP routes and what answers them")
    routes.set_defaults(run=commands.routes)

    openapi = sub.add_parser("openapi", help="write docs/openapi/ from the code")
    openapi.add_argument("--check", action="store_true", help="only compare; non-zero when out of date")
    openapi.set_defaults(run=commands.openapi)

    simulate = sub.add_parser("simulate", help="run the WeChat simulator alone, for any WeChat server")
    simulate.add_argument("--port", type=_port, help="instead of FENSI_SIMULATOR_PORT")
    simulate.add_argument("--state", type=Path, help="file of its own; else simulator.json in FENSI_VAR")
    simulate.set_defaults(run=commands.simulate)

    _accounts(sub)
    _staff(sub)
    _channels(sub)
    _menus(sub)
    _knowledge(sub)
    return top


def _accounts(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    accounts = sub.add_parser("accounts", help="the WeChat accounts we serve").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = accounts.add_parser("add", help="add an account")
    add.add_argument("--kind", required=True, choices=["service", "subscription", "miniprogram"])
    add.add_argument("--name", required=True)
    add.add_argument("--appid", required=True)
    add.add_argument("--secret", required=True, help="AppSecret; `-` asks for it, here and for the next two")
    add.add_argument("--token", required=True)
    add.add_argument("--aes-key", help="EncodingAESKey, 43 characters, or `-`; without it the account is in plain mode")
    add.add_argument("--mode", choices=["plain", "compatible", "safe"], help="default: safe with an AES key")
    add.add_argument("--unverified", action="store_true", help="未认证: no customer-service messages")
    add.add_argument("--brand", default="默认品牌")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(run=account_commands.add)
    change = accounts.add_parser("set", help="change an account; running servers use it within a second")
    change.add_argument("id", type=int, metavar="ID", help="as `fensi accounts list` shows it")
    change.add_argument("--name")
    change.add_argument("--mode", choices=["plain", "compatible", "safe"])
    change.add_argument("--secret", help="AppSecret; `-` asks for it, here and for the next two")
    change.add_argument("--token")
    change.add_argument("--aes-key", help="EncodingAESKey, 43 characters, or `-`; an empty one takes it away")
    change.add_argument("--verified", action=argparse.BooleanOptionalAction, help="whether it has 微信认证")
    change.set_defaults(run=account_commands.set_)
    for name, run, said in (
        ("disable", account_commands.disable, "serve an account no more: no push is answered, no message goes"),
        ("enable", account_commands.enable, "serve an account again, what waits for it, too"),
    ):
        turn = accounts.add_parser(name, help=said)
        turn.add_argument("id", type=int, metavar="ID", help="as `fensi accounts list` shows it")
        turn.set_defaults(run=run)
    listing = accounts.add_parser("list", help="list the accounts, without their secrets")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=account_commands.listing)


def _staff(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    staff = sub.add_parser("staff", help="who may sign in to the console").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = staff.add_parser("add", help="add somebody and print their first password")
    add.add_argument("--name", required=True, help="as colleagues see it")
    add.add_argument("--login", help="2 to 32 of a-z, 0-9 and . _ @ - (default: the name)")
    add.add_argument("--role", default="admin", choices=["admin", "supervisor", "agent", "operator", "viewer"])
    add.add_argument("--brand", action="append", help="a brand's name, repeatable (default: every brand)")
    add.add_argument("--password", choices=["-"], help="`-` asks for it; without it one is made up, to be changed")
    add.set_defaults(run=staff_commands.add)
    listing = staff.add_parser("list", help="list who may sign in")
    listing.set_defaults(run=staff_commands.listing)
    reset = staff.add_parser("reset", help="give somebody a new first password and end their sessions")
    reset.add_argument("login")
    reset.add_argument("--password", choices=["-"], help="`-` asks for it; without it one is made up, to be changed")
    reset.set_defaults(run=staff_commands.reset)


def _channels(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    channels = sub.add_parser("channels", help="parameterised QR codes").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = channels.add_parser("add", help="make a channel and its permanent QR code at WeChat")
    add.add_argument("--account", type=int, required=True, help="the account's id")
    add.add_argument("--scene", required=True, help="1 to 64 characters, unique at the account")
    add.add_argument("--name", required=True)
    add.add_argument("--cost-fen", type=int, default=0)
    add.set_defaults(run=commands.channels_add)
    listing = channels.add_parser("list", help="list channels with how many persons came, and stayed")
    listing.add_argument("--account", type=int, required=True, help="the account's id")
    listing.set_defaults(run=commands.channels_list)


def _menus(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    menus = sub.add_parser("menus", help="the menus of accounts").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    publish = menus.add_parser("publish", help="tell WeChat the menu of an account")
    publish.add_argument("--account", type=int, required=True, help="the account's id")
    publish.add_argument("--file", help="JSON of {button: [...]}; without it the stored definition")
    publish.set_defaults(run=commands.menus_publish)


def _knowledge(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    actions = sub.add_parser("knowledge", help="what a brand's assistant answers from").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    imports = actions.add_parser("import", help="write the entries of a Markdown or CSV file; twice changes nothing")
    imports.add_argument("--format", choices=["md", "csv"], help="default: by the file's name")
    imports.add_argument("--publish", action="store_true", help="let fans see them; without it they are drafts")
    imports.set_defaults(run=knowledge.import_)
    synonyms = actions.add_parser("synonyms", help="replace the synonyms: a group of words a line")
    synonyms.set_defaults(run=knowledge.synonyms)
    for parser_ in (imports, synonyms):
        parser_.add_argument("file", metavar="FILE")
    ask = actions.add_parser("ask", help="show what a question finds, and why")
    ask.add_argument("text", metavar="TEXT")
    ask.set_defaults(run=knowledge.ask)
    for parser_ in (imports, synonyms, ask):
        parser_.add_argument("--brand", required=True, help="the brand's name")


def _count(text: str) -> int:
    return _number(text, 1, 64)


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise argparse.ArgumentTypeError(f"a number from {least} to {most} is needed")
    return int(text)


def _parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, bool]:
    """Return the command, and whether it is for the demo."""
    top = parser()
    given = top.parse_args(arguments)
    if given.command != "demo":
        return given, False
    if given.inside:
        given = top.parse_args(given.inside)
        if given.command == "demo":
            top.error("demo: there is no demo in the demo")
    return given, True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. What is wrong is said in a sentence, never a trace."""
    given, at_the_demo = _parse(arguments)
    try:
        settings = load()
        if at_the_demo:
            settings = demo_settings(settings)
        # What only prints its answer is not to be interrupted by less than errors; servers say more.
        logs.configure(settings.model_copy(update={"log_level": "error"}))
        return int(given.run(settings, given) or 0)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except DomainError as error:
        where = f"{error.field}: " if error.field else ""
        print(f"{where}{error.title}", file=sys.stderr)
        return 2
    except (commands.CommandError, EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    except UnsealError:
        print("FENSI_SECRET_KEY: not the one the accounts were added with", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
