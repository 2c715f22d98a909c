"""Samples on their way to a server: durable before the journal's place moves, sent in order, kept as long as it takes.

    take -> pending -> sent and acknowledged -> held -> released
               ^                                  |
               '------- a new connection ---------'      refused -> aside, with the server's words

An output that feeds a server derives from `ShippingOutput` and brings a `ServerCourier`, which knows it: how to send a
shipment, and what the answer means. All else is here: what is stored and when it may go (`shipping_store`), how a
store is opened, begun anew and closed (`stored_output`), which shipment is next, halved or tried again (`dispatch`,
pure), a thread, so that a slow server holds up neither the journal nor the status (`send_thread`), settings and secrets
(`server_settings`), a secret that changes while it runs (`secret_courier`). Line protocol brings cargo and a dispatch
of its own (`cargo`; `receiver/outputs/influx`).
"""
