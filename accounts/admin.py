"""The admin's pages of accounts, each with its table."""

from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.events import Event
from accounts.models import Address, AuthToken, Order, OrderLine, Registration, SessionOwner, User
from accounts.staff.credentials import AuthTokenAdmin, EventAdmin, RegistrationAdmin, SessionAdmin
from accounts.staff.orders import OrderAdmin, OrderLineAdmin
from accounts.staff.users import AddressAdmin, GroupAdmin, UserAdmin

admin.site.unregister(Group)
admin.site.register(User, UserAdmin)
admin.site.register(Group, GroupAdmin)
admin.site.register(Address, AddressAdmin)
admin.site.register(Registration, RegistrationAdmin)
admin.site.register(AuthToken, AuthTokenAdmin)
admin.site.register(SessionOwner, SessionAdmin)
admin.site.register(Event, EventAdmin)
admin.site.register(Order, OrderAdmin)
admin.site.register(OrderLine, OrderLineAdmin)
