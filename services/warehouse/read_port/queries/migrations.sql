-- Migrations that were applied.
SELECT version, any(name) AS name, any(sha256) AS sha256
FROM schema_migrations
GROUP BY version
ORDER BY version
