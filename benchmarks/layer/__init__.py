# SPDX-License-Identifier: Apache-2.0
"""What the application layer costs against plain bind."""
