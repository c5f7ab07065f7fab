"""`python -m failoverd_etcd`."""

import sys

from failoverd_etcd.main import main

sys.exit(main())
