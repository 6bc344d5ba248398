"""Superset's own tables in sqlite, its roles, and a user: what `superset db upgrade`, `superset init` and `fab
create-admin` do.
"""

import sys

from flask_migrate import upgrade
from superset.app import create_app

app = create_app()
with app.app_context():
    upgrade()
    from superset.extensions import appbuilder

    appbuilder.add_permissions(update_perms=True)
    appbuilder.sm.sync_role_definitions()
    made = appbuilder.sm.add_user("ada", "Ada", "L", "ada@example.com", appbuilder.sm.find_role("Admin"), sys.argv[1])
    sys.exit(0 if made else "no user was made")
