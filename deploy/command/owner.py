"""The database of the data folder's Headwater, as its owner, for commands that read or write all tables."""

from deploy.engines import DataFolder, EngineError
from deploy.engines.embedded import DATABASE
from deploy.engines.postgres import SUPERUSER
from deploy.local import record
from deploy.local.commands import local_settings, or_complain
from deploy.migrate import with_user
from deploy.say import complain


def owner_url() -> str:
    """The URL; ends the command with a sentence if no Headwater runs on the data folder."""
    folder = DataFolder(local_settings().data)
    found = or_complain(lambda: record.read(folder))
    if found is None:
        msg = f"no Headwater runs on {folder.path}; start it (headwater up), or give --into"
        complain(EngineError(msg))
    url = f"postgresql://127.0.0.1:{found.postgres_port}/{DATABASE}"
    return with_user(url, user=SUPERUSER, password=folder.secret("postgres"))
