"""What the pages may load: only what this server sends, and no code or style in line.

Content Security Policy, level 3: https://www.w3.org/TR/CSP3/.
"""

from typing import Final

# The playground's `<base>` names the prefix that a proxy leaves in place. Swagger UI
# has its icons as data.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
