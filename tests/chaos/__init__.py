# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic with every answer checked, while clients leave and servers die."""
