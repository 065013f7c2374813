"""The audit trail is append-only in the database too, for code and shells that pass by the model.

PostgreSQL refuses UPDATE and DELETE; SQLite refuses UPDATE only, since a reset of a test database there deletes row by row.
"""

from django.db import migrations

POSTGRESQL = """
CREATE FUNCTION watchbill_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only.';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON fleet_auditentry
    FOR EACH ROW EXECUTE FUNCTION watchbill_audit_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER audit_append_only ON fleet_auditentry;
DROP FUNCTION watchbill_audit_append_only();
"""
SQLITE = """
CREATE TRIGGER audit_append_only BEFORE UPDATE ON fleet_auditentry
BEGIN SELECT RAISE(ABORT, 'The audit trail is append-only.'); END
"""
SQLITE_BACK = "DROP TRIGGER audit_append_only"


def forwards(apps, schema_editor):
    schema_editor.execute(POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE)


def backwards(apps, schema_editor):
    schema_editor.execute(POSTGRESQL_BACK if schema_editor.connection.vendor == "postgresql" else SQLITE_BACK)


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial")]
    operations = [migrations.RunPython(forwards, backwards)]
